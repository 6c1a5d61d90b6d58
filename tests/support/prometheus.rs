//! A strict reader of Prometheus' text format 0.0.4: what its own parser lets pass, such as samples without a type, is a
//! mistake here.

use std::collections::BTreeMap;

/// Samples by name and labels, as they stand on the page: `name{label="value"}`.
#[derive(Clone, Debug, Default)]
pub struct Page {
    samples: BTreeMap<String, f64>,
    /// Names of families and their types.
    pub families: BTreeMap<String, String>,
}

impl Page {
    /// The page in this text; panics with what is wrong with it.
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line does not end");
        let (mut page, mut help, mut family) = (Self::default(), String::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, words) = rest.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                assert!(!words.is_empty() && !page.families.contains_key(name), "{line}");
                name.clone_into(&mut help);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("no type: {line}"));
                assert!(["counter", "gauge", "histogram"].contains(&kind) && name == help, "after {help}: {line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert_eq!(page.families.insert(name.to_owned(), kind.to_owned()), None, "{line}");
                name.clone_into(&mut family);
            } else {
                assert!(!line.starts_with('#') && !line.is_empty(), "{line:?}");
                page.sample(line, &family);
            }
        }
        page.histograms();
        page
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let ends: &[&str] = if self.families.get(family).is_some_and(|kind| kind == "histogram") {
            &["_bucket", "_sum", "_count"]
        } else {
            &[""]
        };
        assert!(ends.iter().any(|end| name == format!("{family}{end}")), "not of {family}: {line}");
        let plain = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        assert!(plain(name), "{line}");
        let inside = labels.strip_suffix('}').unwrap_or_else(|| panic!("not closed: {line}"));
        for label in inside.split_terminator(',') {
            let (label, value) = label.split_once('=').unwrap_or_else(|| panic!("no label: {line}"));
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            // None of ours needs an escape.
            assert!(plain(label) && value.is_some_and(|value| !value.contains(['"', '\\'])), "{line}");
        }
        assert!(self.families[family] == "gauge" || value >= 0.0, "{line}");
        assert_eq!(self.samples.insert(series.to_owned(), value), None, "twice: {line}");
    }

    /// Buckets grow up to the one without a bound, which is the count; and there is a sum.
    fn histograms(&self) {
        for family in self.families.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            let mut series: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
            for (name, value) in &self.samples {
                let Some(labels) = name.strip_prefix(&format!("{family}_bucket{{")) else { continue };
                let (bound, others): (Vec<&str>, Vec<&str>) =
                    labels.trim_end_matches('}').split(',').partition(|label| label.starts_with("le="));
                let [bound] = bound[..] else { panic!("not one bound: {name}") };
                let bound = match bound.trim_start_matches("le=").trim_matches('"') {
                    "+Inf" => f64::INFINITY,
                    number => number.parse().unwrap_or_else(|_| panic!("no bound: {name}")),
                };
                series.entry(others.join(",")).or_default().push((bound, *value));
            }
            for (labels, mut buckets) in series {
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(buckets.windows(2).all(|two| two[0].1 <= two[1].1), "{family} {labels}: {buckets:?}");
                let of = |end: &str| {
                    let name =
                        if labels.is_empty() { format!("{family}{end}") } else { format!("{family}{end}{{{labels}}}") };
                    *self.samples.get(&name).unwrap_or_else(|| panic!("no {name}"))
                };
                assert_eq!(buckets.last().copied(), Some((f64::INFINITY, of("_count"))), "{family} {labels}");
                assert!(of("_sum") >= 0.0);
            }
        }
    }

    /// One sample; zero where there is none yet.
    pub fn get(&self, series: &str) -> f64 {
        self.samples.get(series).copied().unwrap_or(0.0)
    }

    /// Every sample.
    pub fn samples(&self) -> impl Iterator<Item = (&str, f64)> {
        self.samples.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

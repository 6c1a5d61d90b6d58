//! Which known word was probably meant.

/// The known word with the smallest distance, without regard to case, if it is near enough to be meant: a third of its
/// length, at least one. Two letters that changed places are one mistake.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["queue_size", "max_workers", "port"];
        for (word, expected) in [
            ("queue_sise", Some("queue_size")),
            ("QUEUE_SIZE", Some("queue_size")),
            ("maxworkers", Some("max_workers")),
            ("prot", Some("port")),
            ("por", Some("port")),
            ("banana", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        }
    }
}

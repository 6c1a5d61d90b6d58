//! The command line of the load test. `cargo bench` adds `--bench`, which means nothing here.

use crate::support::Runtime;

pub const USAGE: &str =
    "cargo bench --bench load -- [--submissions 500] [--concurrency 500] [--languages python,java,c,cpp]
    [--closed] [--lone N] [--runtime crun|runc] [--url http://HOST:PORT] [--set NAME=VALUE]...

  --submissions N   how many programs in all
  --concurrency N   how many users at once
  --languages A,B   taken in turn
  --closed          each user waits for his result before he submits the next
  --lone N          instead: N lone Python hellos, each compared with the bare program
  --url URL         a server that runs already, instead of one of its own
  --set NAME=VALUE  a setting of the server of its own, for instance MAX_WORKERS=2";

/// What is asked for.
pub struct Arguments {
    pub submissions: usize,
    pub concurrency: usize,
    pub languages: Vec<String>,
    pub closed: bool,
    pub lone: Option<usize>,
    pub runtime: Runtime,
    pub url: Option<String>,
    pub set: Vec<(String, String)>,
}

/// Reads the arguments; the error is for the terminal.
pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut it = Arguments {
        submissions: 500,
        concurrency: 500,
        languages: ["python", "java", "c", "cpp"].map(str::to_owned).into(),
        closed: false,
        lone: None,
        runtime: Runtime::Crun,
        url: None,
        set: Vec::new(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n\n{USAGE}"));
        let number = |text: String| match text.parse::<usize>() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(format!("{text:?} is no number above 0\n\n{USAGE}")),
        };
        match word.as_str() {
            "--bench" => {}
            "--submissions" => it.submissions = number(value()?)?,
            "--concurrency" => it.concurrency = number(value()?)?,
            "--lone" => it.lone = Some(number(value()?)?),
            "--closed" => it.closed = true,
            "--url" => it.url = Some(value()?),
            "--languages" => it.languages = value()?.split(',').map(str::to_owned).collect(),
            "--runtime" => {
                it.runtime = match value()?.as_str() {
                    "crun" => Runtime::Crun,
                    "runc" => Runtime::Runc,
                    other => return Err(format!("--runtime {other}: crun or runc\n\n{USAGE}")),
                }
            }
            "--set" => {
                let pair = value()?;
                let (name, value) =
                    pair.split_once('=').ok_or_else(|| format!("--set {pair}: NAME=VALUE\n\n{USAGE}"))?;
                it.set.push((name.to_owned(), value.to_owned()));
            }
            _ => return Err(format!("{word}: no such option\n\n{USAGE}")),
        }
    }
    if let Some(unknown) = it.languages.iter().find(|language| !crate::mix::LANGUAGES.contains(&language.as_str())) {
        return Err(format!("--languages {unknown}: one of {}\n\n{USAGE}", crate::mix::LANGUAGES.join(", ")));
    }
    Ok(it)
}

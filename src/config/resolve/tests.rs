//! Tables of what the file and the environment may say, and of every mistake.

use proptest::prelude::*;

use super::*;

fn resolve(file: &str, env: &[(&str, &str)]) -> Result<Settings, Vec<Mistake>> {
    resolve_among(None, file, env)
}

fn resolve_among(languages: Option<&[&str]>, file: &str, env: &[(&str, &str)]) -> Result<Settings, Vec<Mistake>> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::resolve_among(Some((Path::new("c.toml"), file)), env, Defaults { home: "/h".into() }, languages)
        .map(|(settings, _)| settings)
}

fn mistakes(file: &str, env: &[(&str, &str)]) -> Vec<String> {
    resolve(file, env).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_of_the_contract() {
    let settings = resolve("", &[]).unwrap();
    assert_eq!((settings.port, settings.max_workers.get(), settings.queue_size), (8080, 3, 100));
    assert_eq!((settings.default_language.as_str(), settings.max_pending), ("python", 10_000));
    assert_eq!(settings.listen, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap(), "::1".parse().unwrap()]);
    assert_eq!((settings.http.body, settings.cors_origins), (Bytes(4 << 20), Vec::<String>::new()));
    assert_eq!((settings.home, settings.images), (PathBuf::from("/h"), PathBuf::from("/h/images")));
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file =
        "port = 1\nqueue_size = 2\nimages = '/i'\n[http]\nbody_bytes = 3\n[limits.c.run]\ncpu_percent = 0\npids = 9";
    let env = [
        ("PORT", "4"),
        ("CASEMATE_HOME", "/x"),
        ("CASEMATE_HTTP__BODY_BYTES", "5"),
        ("CASEMATE_LIMITS__C__RUN__PIDS", "10"),
        ("CASEMATE_LIMITS__PYTHON__COMPILE__WALL_MS", "11"),
        ("CASEMATE_LISTEN", "0.0.0.0, ::"),
        ("CASEMATE_CONFIG", "ignored here"),
        ("PATH", "/bin"),
    ];
    let settings = resolve(file, &env).unwrap();
    assert_eq!((settings.port, settings.queue_size, settings.http.body), (4, 2, Bytes(5)));
    assert_eq!((settings.home, settings.images), (PathBuf::from("/x"), PathBuf::from("/i")));
    assert_eq!((settings.limits["c"].run.cpu_percent, settings.limits["c"].run.pids), (Some(0), Some(10)));
    assert_eq!(settings.limits["python"].compile.wall_ms, Some(11));
    assert_eq!(settings.listen.len(), 2);
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place_and_its_remedy() {
    let file = "prot = 1\nqueue_sizes = 3\n\n[http]\n  body_bytes = 'big'\n[limits.c.run]\nmemory_mb = 1\n[limits.c.walk]\npids=1";
    let env = [("PORT", "70000"), ("MAX_WORKERS", "0"), ("CASEMATE_MAX_PENDNG", "1"), ("CASEMATE_HTTP", "x")];
    let mut all = mistakes(file, &env);
    all.sort();
    assert_eq!(
        all,
        [
            "c.toml:1:1: prot: there is no such setting; did you mean port?",
            "c.toml:2:1: queue_sizes: there is no such setting; did you mean queue_size?",
            "c.toml:5:3: http.body_bytes: \"big\" is not accepted; give bytes, 1 to 1073741824",
            "c.toml:7:1: limits.c.run.memory_mb: there is no such setting; did you mean limits.c.run.memory_mib?",
            "c.toml:8:11: limits.c.walk: there is no such setting",
            "environment: CASEMATE_HTTP: \"x\" is not accepted; give a table of settings",
            "environment: CASEMATE_MAX_PENDNG: there is no such setting; did you mean CASEMATE_MAX_PENDING?",
            "environment: MAX_WORKERS: \"0\" is not accepted; give a whole number, 1 to 1024",
            "environment: PORT: \"70000\" is not accepted; give a port number, 0 to 65535 (0 takes any free one)",
        ]
    );
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    let all = mistakes("port = 1\nlisten = [\n", &[("QUEUE_SIZE", "")]);
    assert!(all[0].starts_with("c.toml:") && all[0].contains("this is not TOML"), "{all:?}");
    assert!(all.iter().any(|mistake| mistake.starts_with("environment: QUEUE_SIZE: \"\" is not accepted")), "{all:?}");
}

#[test]
fn values_that_are_refused() {
    for (key, values) in [
        ("PORT", &["", "-1", "+1", "1.0", "65536", " 80", "http"][..]),
        ("MAX_WORKERS", &["0", "1025", "three"]),
        ("QUEUE_SIZE", &["0", "1e3"]),
        ("DEFAULT_LANGUAGE", &[""]),
        ("CASEMATE_LISTEN", &["", "localhost", "127.0.0.1,", "127.0.0.1:80"]),
        ("CASEMATE_HOME", &["relative", "", "/a\nb"]),
        ("CASEMATE_RUNTIME", &["Crun", "docker", ""]),
        ("CASEMATE_LOG", &["loud", "INFO", ""]),
        ("CASEMATE_LOG_FORMAT", &["JSON", "xml", ""]),
        ("CASEMATE_SECCOMP__NAME_REFUSED", &["on", "always", ""]),
        ("CASEMATE_ACCOUNT", &["Root", "a b", "-x", ""]),
        ("CASEMATE_MIRROR", &["", "ftp://x", "https://"]),
        ("CASEMATE_CORS_ORIGINS", &["", "*,https://a.b", "example.org", "https://a.b/path", "https://a\r\nb"]),
        ("CASEMATE_LIMITS__C__RUN__MEMORY_MIB", &["0", "99999999999", "-5"]),
        ("CASEMATE_HTTP__HEADER_BYTES", &["100"]),
        ("CASEMATE_HTTP__GUARD_MONACO", &["", "yes", "1", "True"]),
        ("CASEMATE_TOKENS", &["", "tokens.toml"]),
    ] {
        for value in values {
            let all = mistakes("", &[(key, value)]);
            assert!(all.len() == 1 && all[0].contains(key), "{key}={value:?}: {all:?}");
        }
    }
}

#[test]
fn two_names_of_one_setting_must_agree() {
    assert_eq!(resolve("", &[("PORT", "5"), ("CASEMATE_PORT", "5")]).unwrap().port, 5);
    let all = mistakes("", &[("PORT", "5"), ("CASEMATE_PORT", "6")]);
    assert!(all.len() == 1 && all[0].contains("CASEMATE_PORT and PORT"), "{all:?}");
}

#[test]
fn languages_are_checked_beside_everything_else_where_they_are_known() {
    let (file, env) = ("[limits.pyton.run]\npids = 5", [("DEFAULT_LANGUAGE", "perl"), ("PORT", "x")]);
    let all = resolve_among(Some(&["python", "c"]), file, &env).unwrap_err();
    let all: Vec<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[0].starts_with("environment: PORT: "), "{all:?}");
    assert!(
        all[1].contains(":2:1: limits.pyton.run.pids: \"pyton\"") && all[1].contains("did you mean python?"),
        "{all:?}"
    );
    assert!(all[2].starts_with("environment: DEFAULT_LANGUAGE: \"perl\""), "{all:?}");
    assert!(resolve(file, &env[..1]).is_ok());
}

#[test]
fn a_line_that_cannot_be_read_is_one_mistake() {
    let all = mistakes("port = \nqueue_size = 0.5", &[]);
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].contains(":1:") && all[0].contains("this is not TOML"), "{all:?}");
    assert!(all[1].contains(":2:1: queue_size"), "{all:?}");
}

#[test]
fn every_row_can_be_read_from_its_variable_and_every_limit_reaches_its_field() {
    for row in rows() {
        if let Preset::Text(text) = row.preset {
            assert!(resolve("", &[(&variable(row.key), text)]).is_ok(), "{}", row.key);
        }
    }
    let all = LIMITS.iter().map(|row| format!("{} = {}\n", row.key, row.max)).collect::<String>();
    let patch = resolve(&format!("[limits.c.run]\n{all}"), &[]).unwrap().limits["c"].run.clone();
    assert!(!format!("{patch:?}").contains("None"), "{patch:?}");
}

proptest! {
    #[test]
    fn no_file_and_no_value_makes_it_panic(file in ".{0,200}", value in ".{0,40}", row in 0..rows().count()) {
        let name = variable(rows().nth(row).unwrap().key);
        let _ = resolve(&file, &[(&name, &value)]);
    }
}

/// Every key of the table can be set in the file, those below a table too.
#[test]
fn every_key_can_be_given_in_the_file() {
    for row in rows() {
        let value = match row.preset {
            Preset::Text(text) if text.parse::<u64>().is_ok() => text.to_owned(),
            Preset::Text(text) if text.contains(',') || text == "*" => format!("[{text:?}]").replace(',', "\", \""),
            Preset::Text("true" | "false") => "true".to_owned(),
            Preset::Text(text) => format!("{text:?}"),
            Preset::Derived(_) if ["cors_origins", "http.hosts"].contains(&row.key) => "['*']".to_owned(),
            Preset::Derived(_) => "\"/x\"".to_owned(),
        };
        if row.key == "mirror" {
            continue;
        }
        assert!(resolve(&format!("{} = {value}", row.key), &[]).is_ok(), "{} = {value}", row.key);
    }
    assert_eq!(resolve("[pool]\nleast = 3", &[]).unwrap().pool_least, 3);
}

/// Only by name is a service that other machines reach open to whoever has no token.
#[test]
fn who_is_let_in_from_other_machines() {
    use crate::config::Anonymous;
    let network: std::net::IpAddr = "0.0.0.0".parse().unwrap();
    let (tokens, guard) = (("CASEMATE_TOKENS", "/t"), ("CASEMATE_HTTP__GUARD_MONACO", "true"));
    let allow = ("CASEMATE_HTTP__ALLOW_ANONYMOUS_FROM_NETWORK", "true");
    let open = ("CASEMATE_LISTEN", "127.0.0.1,0.0.0.0");
    for (env, expected) in [
        (&[][..], Ok(())),
        (&[("CASEMATE_LISTEN", "127.0.0.9,::ffff:127.0.0.1,::1")], Ok(())),
        (&[open], Err(Anonymous::NoTokens(network))),
        (&[("CASEMATE_LISTEN", "::")], Err(Anonymous::NoTokens("::".parse().unwrap()))),
        (&[open, allow], Ok(())),
        (&[open, tokens], Err(Anonymous::OpenMonaco(network))),
        (&[open, tokens, allow], Ok(())),
        (&[open, tokens, guard], Ok(())),
        (&[tokens], Ok(())),
        (&[guard], Err(Anonymous::NoGuard)),
        (&[open, guard, allow], Err(Anonymous::NoGuard)),
    ] {
        assert_eq!(resolve("", env).unwrap().not_anonymous(), expected, "{env:?}");
    }
}

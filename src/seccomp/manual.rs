//! The form of a file and what no profile can allow, for people: two parts of `seccomp/README.md`. The parser is
//! `format.rs`'s; a test asks it for its keys.

use std::fmt::Write as _;

use super::never::{NEVER, NEVER_IOCTL, SOCKETS};

/// What one object of a file may have.
struct Object {
    what: &'static str,
    keys: &'static [Key],
}

/// A key, whether it has to be there, what may be given, and what that says.
type Key = (&'static str, &'static str, &'static str, &'static str);

const OBJECTS: [Object; 5] = [
    Object {
        what: "The file",
        keys: &[
            ("comment", "yes", "text", "What the profile is for."),
            ("extends", "", "name of a profile that extends none itself", "Its rules hold too."),
            (
                "rules",
                "of a profile",
                "list of rules, at least one",
                "What works and what is refused. Their order means nothing.",
            ),
            (
                "adds",
                "of an addition",
                "object: name of a profile, and a list of rules for it",
                "The rules join that profile; the result is called `<profile>+<file>`. A file with `adds` has neither `rules` nor `extends` nor `unknown`.",
            ),
            ("unknown", "", "list", "System calls that look unknown on purpose: no rule may name them."),
        ],
    },
    Object {
        what: "An entry of `unknown`",
        keys: &[
            ("names", "yes", "list of names of system calls", ""),
            ("comment", "yes", "text", "Why ENOSYS is the right answer."),
        ],
    },
    Object {
        what: "A rule",
        keys: &[
            ("group", "yes", "text, not empty", "A word for these system calls, for people."),
            ("action", "yes", "`\"allow\"` or `\"refuse\"`", "What becomes of them, as above."),
            ("comment", "yes", "text, not empty", "What needs them; of a refusal the attack that it stops."),
            (
                "shown_by",
                "",
                "list of texts; of a refusal alone",
                "Tests in which it is seen, as `file::function`, and programs that try it. Only our own files have to have it.",
            ),
            (
                "names",
                "yes",
                "list of names of system calls, at least one",
                "As `casemate seccomp explain` knows them; a name stands in one rule for the same arguments, and in none of the contrary.",
            ),
            (
                "args",
                "",
                "list of conditions, one for each argument",
                "All of them have to hold for the rule to count. Without any it counts for every call.",
            ),
        ],
    },
    Object {
        what: "A condition of `args`",
        keys: &[
            ("index", "yes", "0 to 5", "Which argument, from 0."),
            (
                "mask",
                "",
                "number",
                "The bits that are looked at; without it all 64. Beside `equals` and `one_of` alone.",
            ),
            ("equals", "one of four", "number", "It is this."),
            ("not", "one of four", "number", "It is anything but this."),
            ("one_of", "one of four", "list of named values, at least one", "It is one of these."),
            ("any_bit_of", "one of four", "list of named values, at least one", "At least one of these bits is set."),
        ],
    },
    Object {
        what: "A named value",
        keys: &[
            ("value", "yes", "number", ""),
            ("name", "yes", "text", "The name that headers of libc give it."),
            ("comment", "", "text", "What it is for, where the rule's comment does not say."),
        ],
    },
];

const FORM: &str = "
## The form of a file

JSON, read strictly: a key that is not below, or one that is missing, is a mistake and stops the start, and so does a rule that
contradicts another. `casemate seccomp check FILE` says all of it beforehand, and finds what a start lets pass: a name that is no system call.
A number is written `10` or `\"0xa\"`; JSON has no hexadecimal ones.
";

/// An addition and a profile, as somebody could write them.
const EXAMPLE: &str = r#"{
  "comment": "What the interpreter of our course needs beyond `run`.",
  "adds": {
    "run": [
      {
        "group": "pages that are there",
        "action": "allow",
        "comment": "It asks which pages of its heap are in memory.",
        "names": ["mincore"]
      },
      {
        "group": "securebits",
        "action": "allow",
        "comment": "It asks what becomes of capabilities, and changes nothing.",
        "names": ["prctl"],
        "args": [{"index": 0, "one_of": [{"value": "0x1b", "name": "PR_GET_SECUREBITS"}]}]
      }
    ]
  }
}
"#;

/// Both parts.
pub(super) fn manual() -> String {
    let mut page = FORM.to_owned();
    for Object { what, keys } in &OBJECTS {
        line(&mut page, &format!("\n{what}:\n\n| key | needed | value | what it says |\n|---|---|---|---|"));
        for (key, needed, value, says) in *keys {
            line(&mut page, &format!("| `{key}` | {needed} | {value} | {says} |"));
        }
    }
    line(
        &mut page,
        "\nAn example, as `course.json` in `seccomp` of the settings directory; a language names it with `profile = \"run+course\"`:\n",
    );
    line(&mut page, &format!("```json\n{EXAMPLE}```"));
    page.push_str(
        "\n## What no profile can allow\n\n\
         The service has the kernel refuse these to itself, with EPERM, and everything that it starts inherits that: the runtime, and every\n\
         job under whatever profile. A rule that allows one changes nothing, and `casemate seccomp check` calls it a mistake. The list is\n\
         `src/seccomp/never.rs`. ptrace(2), namespaces, mounts and filters are not in it, since the service needs them; the profiles refuse them to jobs.\n\n\
         | group | what | why not |\n|---|---|---|\n",
    );
    for one in NEVER {
        let names: Vec<String> = one.names.iter().map(|name| format!("`{name}`")).collect();
        line(&mut page, &format!("| {} | {} | {} |", one.group, names.join(" "), one.why));
    }
    let requests = NEVER_IOCTL.map(|request| format!("{request:#x}")).join(" or ");
    let families = SOCKETS.map(|family| family.to_string()).join(", ");
    line(
        &mut page,
        &format!(
            "| terminal input | `ioctl` with the request {requests} (TIOCSTI, TIOCLINUX) | puts words into a terminal |"
        ),
    );
    line(
        &mut page,
        &format!(
            "| sockets of other families | `socket` with a family other than {families} (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK) | kernel code that few have looked at |"
        ),
    );
    page
}

fn line(page: &mut String, text: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::de::DeserializeOwned;

    use super::*;
    use crate::seccomp::check;
    use crate::seccomp::format::{Argument, File, Named, Rule, Unknown};

    /// The keys that the parser knows, as it lists them to whoever gives it another.
    fn keys<T: DeserializeOwned + Debug>() -> Vec<String> {
        let said = serde_json::from_str::<T>(r#"{"no such key": 1}"#).unwrap_err().to_string();
        let (_, known) = said.split_once("expected").expect(&said);
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_key_of_the_parser_is_on_the_page_and_no_other() {
        let parser = [keys::<File>(), keys::<Unknown>(), keys::<Rule>(), keys::<Argument>(), keys::<Named>()];
        for (Object { what, keys }, known) in OBJECTS.iter().zip(parser) {
            assert_eq!(keys.iter().map(|(key, ..)| *key).collect::<Vec<_>>(), known, "{what}");
        }
    }

    #[test]
    fn the_example_is_right() {
        let settings = tempfile::tempdir().unwrap();
        let file = settings.path().join("course.json");
        std::fs::write(&file, EXAMPLE).unwrap();
        let found = check(&file, None);
        assert!(found.mistakes.is_empty() && found.names == ["run+course"], "{found:?}");
    }
}

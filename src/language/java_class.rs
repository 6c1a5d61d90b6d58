//! The name of a Java program's class: the contract's rule, improved only where that is certain to fail.
//!
//! The rule: the first match of `public\s+class\s+(\w+)`, else of `class\s+(\w+)`, else `Solution`, `\w` being ASCII.
//! The improvements: comments, strings and characters are no code; a class inside another is never meant; modifiers may
//! stand between `public` and `class`; among several classes of which none is public the one that declares `main` is
//! meant; a `package` is part of the name that the virtual machine is told.

/// The name of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassName {
    /// As in `class Name`, and in the name of the file.
    pub(super) simple: String,
    /// With its package.
    pub(super) qualified: String,
}

impl Default for ClassName {
    fn default() -> Self {
        Self { simple: FALLBACK.to_owned(), qualified: FALLBACK.to_owned() }
    }
}

const FALLBACK: &str = "Solution";

/// Longer names do not fit a file's name with `.class` behind them.
const LONGEST: usize = super::definition::NAME_MAX - ".class".len();

pub(super) fn find(source: &str) -> ClassName {
    let code = without_comments_and_strings(source);
    let words = words(&code);
    let outer = |i: &usize| words[*i].opens_class && words[*i].depth == 0;
    let classes: Vec<usize> = (0..words.len().saturating_sub(1)).filter(outer).collect();
    let public = classes.iter().copied().find(|&i| is_public(&words[..=i]));
    let chosen = public.or_else(|| with_main(&code, &words, &classes)).or_else(|| classes.first().copied());
    let simple = chosen
        .map(|i| words[i + 1].text)
        .filter(|name| name.len() <= LONGEST)
        .map_or_else(|| FALLBACK.to_owned(), str::to_owned);
    let qualified = match package(&code) {
        Some(package) => format!("{package}.{simple}"),
        None => simple.clone(),
    };
    ClassName { simple, qualified }
}

struct Word<'a> {
    text: &'a str,
    at: usize,
    /// How many braces are open around it.
    depth: usize,
    /// Only white space stands between the word before and this one.
    after_space: bool,
    /// It is `class`, and white space and a word follow.
    opens_class: bool,
}

/// Runs of ASCII letters, digits and underscores.
fn words(code: &str) -> Vec<Word<'_>> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = code.as_bytes();
    let mut words = Vec::new();
    let (mut i, mut end, mut depth) = (0, 0, 0_usize);
    while i < bytes.len() {
        if !is_word(bytes[i]) {
            match bytes[i] {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            i += 1;
            continue;
        }
        let start = i;
        while i < bytes.len() && is_word(bytes[i]) {
            i += 1;
        }
        let between = &code[end..start];
        let after_space = !between.is_empty() && between.chars().all(char::is_whitespace);
        words.push(Word { text: &code[start..i], at: start, depth, after_space, opens_class: false });
        end = i;
    }
    let follows: Vec<bool> = words.iter().skip(1).map(|w| w.after_space).chain([false]).collect();
    for (word, follows) in words.iter_mut().zip(follows) {
        word.opens_class = follows && word.text == "class";
    }
    words
}

/// Whether `class`, the last of `words`, is declared public: nothing but modifiers and white space between the two.
fn is_public(words: &[Word<'_>]) -> bool {
    let joined = words.iter().rev().skip(1).zip(words.iter().rev()).take_while(|(_, next)| next.after_space);
    joined
        .map(|(word, _)| word.text)
        .find(|text| !matches!(*text, "abstract" | "final" | "strictfp"))
        .is_some_and(|text| text == "public")
}

/// The outer class in whose own body the first `void main(` stands. A call of `main`, or one in a class further in, is
/// nothing that the virtual machine would start.
fn with_main(code: &str, words: &[Word<'_>], classes: &[usize]) -> Option<usize> {
    let declares = |i: &usize| {
        let (before, word) = (&words[*i - 1], &words[*i]);
        let called = code[word.at + word.text.len()..].trim_start().starts_with('(');
        word.text == "main" && word.depth == 1 && word.after_space && before.text == "void" && called
    };
    let main = (1..words.len()).find(declares)?;
    classes.iter().copied().rfind(|&i| i < main)
}

fn package(code: &str) -> Option<String> {
    let rest = code.trim_start().strip_prefix("package")?;
    let (name, _) = rest.split_once(';')?;
    let name: String = name.split_whitespace().collect();
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (rest.starts_with(char::is_whitespace) && name.len() <= 1024 && name.split('.').all(part)).then_some(name)
}

/// The source with a space in place of every comment, string and character.
fn without_comments_and_strings(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.find("*/").map_or(rest.len(), |end| end + 4)
        } else if c == '"' || c == '\'' {
            quoted(rest, c)
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

/// The length of a literal, its quotes included. It ends with its line in any case: no literal of Java 11 does not.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == '\n' {
            return at;
        }
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rule_and_where_it_would_fail() {
        let rows = [
            ("public class Main { }", "Main"),
            ("class A { } public  class\n B { }", "B"),
            ("class Only { }", "Only"),
            ("", "Solution"),
            ("int x;", "Solution"),
            ("public final class F { }", "F"),
            ("// public class No\npublic class Yes { }", "Yes"),
            ("/* class No */ class Yes { }", "Yes"),
            ("class A { String s = \"public class No \"; }", "A"),
            ("class A { char c = '\"'; } class B { public static void main(String[] a) {} }", "B"),
            ("class A { void f() {} } class M { static void main (String[] a) {} } class Z { }", "M"),
            ("class Outer { static class Node { } public static void main(String[] a) { } }", "Outer"),
            ("class Outer { public class Node { } public static void main(String[] a) { } }", "Outer"),
            (
                "class A { static class B { static void main(String[] a) {} } } class C { static void main(String[] a) {} }",
                "C",
            ),
            ("class A { void f() { B.main(null); } } class B { public static void main(String... a) {} }", "B"),
            ("class A { } public final strictfp class F { }", "F"),
            ("interface I { } enum E { X { } } class C { }", "C"),
            ("public interface I { } class C { static void main(String[] a) {} } class D { }", "C"),
            ("} class A { }", "A"),
            ("package a.b ; public class C { }", "a.b.C"),
            ("/* c */ package a . b; class C { }", "a.b.C"),
            ("class Über { } class Ok { }", "Ok"),
        ];
        for (source, expected) in rows {
            assert_eq!(find(source).qualified, expected, "{source}");
        }
        assert_eq!(find(&format!("class {} {{ }}", "x".repeat(300))).simple, "Solution");
    }

    proptest! {
        #[test]
        fn one_class_without_comments_or_strings_is_the_rule(
            before in "[ \n]{0,3}(import java\\.util\\.\\*;)?[ \n]{0,3}", public in any::<bool>(),
            name in "[A-Za-z_][A-Za-z0-9_]{0,20}",
        ) {
            let source = format!("{before}{}class {name} {{ int x; }}", if public { "public " } else { "" });
            prop_assume!(name != "class" && name != "public");
            prop_assert_eq!(find(&source).qualified, name);
        }

        #[test]
        fn no_text_makes_an_unsafe_name(source in "(class|public|package|[a-z./\\\\\"';]|\\PC|\n| ){0,60}") {
            let name = find(&source);
            prop_assert!(name.simple.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            prop_assert!(!name.simple.is_empty() && name.simple.len() <= LONGEST);
        }
    }
}

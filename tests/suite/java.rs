//! Java: which class is run, packages, and what the virtual machine was started with.

use super::endings::java;
use crate::support::table::{Row, Table, row};
use crate::support::{Runtime, Server};
use crate::{needs, program, support::Need, under_both_runtimes};

/// A class that prints its name.
fn class(head: &str, name: &str) -> String {
    format!("{head} {name} {{ public static void main(String[] a) {{ System.out.println(\"{name}\"); }} }}\n")
}

fn names() -> Vec<Row> {
    let main = "public static void main(String[] a)";
    vec![
        row("a public class", "java", class("public class", "Main")).completes("Main\n"),
        row("a class that is not public", "java", class("class", "Plain")).completes("Plain\n"),
        row("the public one of two", "java", format!("class Helper {{}}\n{}", class("public class", "Real"))).completes("Real\n"),
        row("white space", "java", class("public\n\t class\n", "Spaced")).completes("Spaced\n"),
        row("digits and underscores", "java", class("public class", "A_1b")).completes("A_1b\n"),
        row("public final", "java", class("public final class", "Last")).completes("Last\n"),
        row("no class at all", "java", "interface Solution { static void main(String[] a) { System.out.println(\"interface\"); } }")
            .completes("interface\n"),
        row("a class in a comment", "java", format!("// public class Wrong\n/* public class Wrong2 */\n{}", class("public class", "Right")))
            .completes("Right\n"),
        row("a class in a string", "java", format!("class Right {{ static String s = \"public class Wrong\"; {main} {{ System.out.println(\"right\"); }} }}"))
            .completes("right\n"),
        row("the one that has main", "java", format!("class Helper {{ int x; }}\n{}class Other {{}}\n", class("class", "WithMain")))
            .completes("WithMain\n"),
        row("a package", "java", format!("package com.example;\n{}", class("public class", "Packed"))).completes("Packed\n"),
        row("a package after a comment", "java", format!("/* package wrong; */ package a . b ;\n{}", class("public class", "Deep")))
            .completes("Deep\n"),
        row("a nested class", "java", program!("java/Nested.java")).completes("inner\n"),
        row(
            "a nested class in one that is not public",
            "java",
            program!("java/Nested.java").replace("public class Nested", "class Nested"),
        )
        .completes("inner\n"),
        row("two classes that use each other", "java", program!("java/TwoClasses.java")).completes("4\n"),
        row("generics and lambdas", "java", program!("java/Streams.java")).completes("[2, 4, 6]\n"),
        row("no main", "java", "public class NoMain {}").fails_with("", &["NoMain"], "\nexit status 1"),
    ]
}

fn machine() -> Vec<Row> {
    let print = |what: &str| java(&format!("System.out.println({what});"));
    vec![
        row("version", "java", print("System.getProperty(\"java.specification.version\")")).completes("11\n"),
        row("heap", "java", print("Runtime.getRuntime().maxMemory() >> 20")).prints_between(240.0, 256.0),
        row("first heap", "java", print("Runtime.getRuntime().totalMemory() >> 20")).prints_between(58.0, 70.0),
        row("flags", "java", print("java.lang.management.ManagementFactory.getRuntimeMXBean().getInputArguments()")).check(|seen| {
            let flags = ["-XX:+TieredCompilation", "-XX:TieredStopAtLevel=1", "-Xverify:none", "-Xms64m", "-Xmx256m"];
            let missing: Vec<_> = flags.into_iter().filter(|flag| !seen.output().contains(flag)).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} not in {:?}", seen.output())) }
        }),
        row("no arguments", "java", print("args.length")).completes("0\n"),
        row("Unicode", "java", print("\"héllo ✓ 😀\"")).completes("héllo ✓ 😀\n"),
        row("Unicode on standard input", "java", print("new java.util.Scanner(System.in).nextLine()")).input("héllo ✓").completes("héllo ✓\n"),
        row("threads", "java", program!("java/Threads.java")).completes("1000\n"),
        row("a file in /tmp", "java", java("java.nio.file.Path p = java.nio.file.Files.createTempFile(\"a\", \"b\"); System.out.println(p.startsWith(\"/tmp\"));"))
            .completes("true\n"),
    ]
}

fn class_names(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(names()).run(Server::shared(runtime));
}

fn virtual_machine(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(machine()).run(Server::shared(runtime));
}

under_both_runtimes!(class_names, virtual_machine);

//! The routes that are about the service itself.

use serde_json::json as value;

use super::super::schemas::Schemas;
use super::{Answer, Operation, json, text};
use crate::http::v1::languages;
use crate::metrics;

/// All of them, by path.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        method: "get",
        path: "/v1/languages",
        id: "languages",
        tag: "service",
        summary: "What programs can be written in, with versions, limits and an example each.",
        parameters: &[],
        body: None,
        answers: &[json(200, "Every language.", Schemas::written::<languages::Languages<'static>>)],
        problems: &["malformed_request"],
    },
    Operation {
        method: "get",
        path: "/healthz",
        id: "health",
        tag: "service",
        summary: "Whether the process answers.",
        parameters: &[],
        body: None,
        answers: &[text(200, "`ok`.")],
        problems: &[],
    },
    Operation {
        method: "get",
        path: "/readyz",
        id: "ready",
        tag: "service",
        summary: "Whether submissions are taken and can be carried out.",
        parameters: &[],
        body: None,
        answers: &[text(200, "`ok`.")],
        problems: &["store_unavailable", "shutting_down", "not_ready"],
    },
    Operation {
        method: "get",
        path: "/metrics",
        id: "metrics",
        tag: "service",
        summary: "What is counted, for Prometheus.",
        parameters: &[],
        body: None,
        answers: &[Answer {
            kind: metrics::CLASSIC,
            ..text(200, "In the text format of Prometheus, or in OpenMetrics.")
        }],
        problems: &["unknown_path", "no_token"],
    },
    Operation {
        method: "get",
        path: "/openapi.json",
        id: "openapi",
        tag: "service",
        summary: "This document.",
        parameters: &[],
        body: None,
        answers: &[json(200, "OpenAPI 3.1.", |_| value!({"type": "object"}))],
        problems: &[],
    },
    page("/", "page", "A page for trying it.", &[Answer { kind: "text/html", ..text(200, "The file.") }]),
    page(
        "/page/page.css",
        "pageStyle",
        "The style of the page.",
        &[Answer { kind: "text/css", ..text(200, "The file.") }],
    ),
    page(
        "/page/page.js",
        "pageScript",
        "The script of the page.",
        &[Answer { kind: "text/javascript", ..text(200, "The file.") }],
    ),
    page(
        "/page/icon.svg",
        "pageIcon",
        "The icon of the page.",
        &[Answer { kind: "image/svg+xml", ..text(200, "The file.") }],
    ),
];

/// A file of the page.
const fn page(path: &'static str, id: &'static str, summary: &'static str, answers: &'static [Answer]) -> Operation {
    Operation {
        method: "get",
        path,
        id,
        tag: "page",
        summary,
        parameters: &[],
        body: None,
        answers,
        problems: &["unknown_path"],
    }
}

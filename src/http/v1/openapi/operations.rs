//! Every route with a method: what it takes, what it answers, and which problems it may tell.

mod service;

use serde_json::{Value, json};

use super::schemas::{self, Schemas};
use crate::http::v1::{PREFIX, batch, decode, document, list};
use crate::http::{key, monaco};

/// One method of one path.
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub id: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    pub parameters: &'static [Parameter],
    pub body: Option<Body>,
    pub answers: &'static [Answer],
    /// Kinds of problems, beside those that any request may meet.
    pub problems: &'static [&'static str],
}

impl Operation {
    /// Whether its problems are documents.
    pub fn is_v1(&self) -> bool {
        self.path.starts_with(PREFIX)
    }
}

pub struct Parameter {
    pub name: &'static str,
    /// `query`, `path` or `header`.
    pub place: &'static str,
    pub required: bool,
    pub what: &'static str,
    pub schema: fn() -> Value,
}

#[derive(Clone, Copy)]
pub struct Body {
    pub schema: fn(&mut Schemas) -> Value,
    pub examples: fn() -> Vec<(&'static str, Value)>,
}

/// A success, or an answer in a form of its own.
pub struct Answer {
    pub status: u16,
    pub what: &'static str,
    /// The type of its content.
    pub kind: &'static str,
    /// The form of its content; none where there is no content.
    pub schema: Option<fn(&mut Schemas) -> Value>,
    /// Whether it says where the submission is.
    pub location: bool,
}

const JSON: &str = "application/json";

const fn json(status: u16, what: &'static str, schema: fn(&mut Schemas) -> Value) -> Answer {
    Answer { status, what, kind: JSON, schema: Some(schema), location: false }
}

const fn text(status: u16, what: &'static str) -> Answer {
    Answer { status, what, kind: "text/plain", schema: Some(|_| json!({"type": "string"})), location: false }
}

const ID: Parameter =
    Parameter { name: "id", place: "path", required: true, what: "The submission's id.", schema: schemas::id };

const ASKED: Parameter = Parameter { place: "query", ..ID };

const KEY: Parameter = Parameter {
    name: "Idempotency-Key",
    place: "header",
    required: false,
    what: "Whoever repeats a request under the same key does not submit again.",
    schema: || json!({"type": "string", "minLength": 1, "maxLength": key::LONGEST, "pattern": "^[!-~]([ -~]*[!-~])?$"}),
};

const WAIT: Parameter = Parameter {
    name: "wait",
    place: "query",
    required: false,
    what: "Seconds to wait for the end, at most as many as the operator allows (`http.wait_ms`).",
    schema: || json!({"type": "number", "minimum": 0}),
};

const LAST_EVENT_ID: Parameter = Parameter {
    name: "Last-Event-ID",
    place: "header",
    required: false,
    what: "The id of the last event that was received; what comes behind it is told.",
    schema: || json!({"type": "string"}),
};

const IDS: Parameter = Parameter {
    name: "ids",
    place: "query",
    required: true,
    what: "Ids with commas between them, at most as many as the operator allows (`http.batch`).",
    schema: || json!({"type": "string", "minLength": 1}),
};

const SUBMITTING: &[&str] = &[
    "malformed_request",
    "bad_key",
    "key_reused",
    "too_large",
    "too_slow",
    "queue_full",
    "too_many_waiting",
    "rate_exceeded",
    "too_many",
    "store_unavailable",
    "shutting_down",
];

const SUBMITTING_ALL: &[&str] = &[
    "malformed_request",
    "bad_key",
    "key_reused",
    "too_large",
    "unknown_encoding",
    "too_slow",
    "bad_value",
    "out_of_range",
    "queue_full",
    "too_many_waiting",
    "rate_exceeded",
    "too_many",
    "store_unavailable",
    "shutting_down",
];

const ASKING: &[&str] = &["malformed_request", "unknown_submission", "too_many", "store_unavailable"];

const WAITING: &[&str] = &["malformed_request", "out_of_range", "unknown_submission", "too_many", "store_unavailable"];

const SHOWN: fn(&mut Schemas) -> Value = Schemas::written::<document::Document<'static>>;

/// All of them, by path.
pub fn all() -> impl Iterator<Item = &'static Operation> {
    SUBMISSIONS.iter().chain(service::OPERATIONS)
}

/// Those about submissions.
const SUBMISSIONS: &[Operation] = &[
    Operation {
        method: "post",
        path: "/submit",
        id: "submitMonaco",
        tag: "monaco",
        summary: "Submits a program. Unknown fields are ignored.",
        parameters: &[KEY],
        body: Some(Body {
            schema: |_| {
                json!({"type": "object", "required": ["code"], "properties": {
                    "language": {"type": ["string", "null"], "description": "The operator's default where it is missing or empty."},
                    "code": {"type": "string", "minLength": 1, "description": "The program."},
                    "input": {"type": ["string", "null"], "description": "Standard input."}}})
            },
            examples: || vec![("hello", json!({"language": "python", "code": "print(input())", "input": "hello"}))],
        }),
        answers: &[json(202, "It was accepted.", Schemas::written::<monaco::Accepted>)],
        problems: SUBMITTING,
    },
    Operation {
        method: "get",
        path: "/status",
        id: "status",
        tag: "monaco",
        summary: "How a submission stands.",
        parameters: &[ASKED],
        body: None,
        answers: &[json(200, "The submission.", Schemas::written::<monaco::Status>)],
        problems: ASKING,
    },
    Operation {
        method: "get",
        path: "/result",
        id: "result",
        tag: "monaco",
        summary: "What a submission printed, and how it ended.",
        parameters: &[ASKED],
        body: None,
        answers: &[json(200, "The submission.", Schemas::written::<monaco::ResultBody>)],
        problems: ASKING,
    },
    Operation {
        method: "get",
        path: "/queue-stats",
        id: "queueStats",
        tag: "monaco",
        summary: "How much waits and runs.",
        parameters: &[],
        body: None,
        answers: &[json(200, "The numbers of the moment.", Schemas::written::<monaco::QueueStats>)],
        problems: &[],
    },
    Operation {
        method: "post",
        path: "/v1/submissions",
        id: "submit",
        tag: "submissions",
        summary: "Submits a program.",
        parameters: &[KEY, WAIT],
        body: Some(Body { schema: Schemas::read::<decode::Submission>, examples: submissions }),
        answers: &[
            Answer { location: true, ..json(201, "It has ended within the time that was waited.", SHOWN) },
            Answer { location: true, ..json(202, "It was accepted and has not ended yet.", SHOWN) },
        ],
        problems: SUBMITTING_ALL,
    },
    Operation {
        method: "get",
        path: "/v1/submissions",
        id: "list",
        tag: "submissions",
        summary: "What was submitted, the newest first, page by page.",
        parameters: &[
            Parameter {
                name: "limit",
                place: "query",
                required: false,
                what: "How many on a page; 20 without it.",
                schema: || json!({"type": "integer", "minimum": 1, "maximum": list::MOST}),
            },
            Parameter {
                name: "status",
                place: "query",
                required: false,
                what: "Only those in this state.",
                schema: || json!({"type": "string", "enum": schemas::STATES}),
            },
            Parameter {
                name: "cursor",
                place: "query",
                required: false,
                what: "`next` of the page before.",
                schema: || json!({"type": "string"}),
            },
        ],
        body: None,
        answers: &[json(200, "A page.", Schemas::written::<list::Page<'static>>)],
        problems: &["malformed_request", "out_of_range", "too_many", "store_unavailable"],
    },
    Operation {
        method: "get",
        path: "/v1/submissions/{id}",
        id: "show",
        tag: "submissions",
        summary: "Shows a submission, with all about its ending once it has ended.",
        parameters: &[ID, WAIT],
        body: None,
        answers: &[json(200, "The submission.", SHOWN)],
        problems: WAITING,
    },
    Operation {
        method: "delete",
        path: "/v1/submissions/{id}",
        id: "cancel",
        tag: "submissions",
        summary: "Cancels a submission. One that has ended stays as it is.",
        parameters: &[ID],
        body: None,
        answers: &[json(200, "It has ended.", SHOWN), json(202, "What runs is being stopped.", SHOWN)],
        problems: ASKING,
    },
    Operation {
        method: "get",
        path: "/v1/submissions/{id}/events",
        id: "follow",
        tag: "submissions",
        summary: "Tells what happens to a submission while it happens, as server-sent events.",
        parameters: &[ID, LAST_EVENT_ID],
        body: None,
        answers: &[
            Answer {
                kind: "text/event-stream",
                schema: Some(|_| schemas::event()),
                ..text(
                    200,
                    "Events, each but `leave` with an id, and JSON as its data: `state`, `step`, `output`, `skipped`, `restart`, `end`, `leave`.",
                )
            },
            Answer { schema: None, ..text(204, "All was told before; there is no more to come.") },
        ],
        problems: ASKING,
    },
    Operation {
        method: "post",
        path: "/v1/submissions:batch",
        id: "submitBatch",
        tag: "submissions",
        summary: "Submits several programs; each is accepted or refused on its own.",
        parameters: &[KEY],
        body: Some(Body { schema: batch_schema, examples: batches }),
        answers: &[json(200, "An answer for each, in order.", Schemas::written::<batch::Accepted<'static>>)],
        problems: &[
            "malformed_request",
            "bad_key",
            "key_reused",
            "too_large",
            "unknown_encoding",
            "too_slow",
            "bad_value",
            "too_many",
            "store_unavailable",
        ],
    },
    Operation {
        method: "get",
        path: "/v1/submissions:batch",
        id: "showBatch",
        tag: "submissions",
        summary: "How several submissions stand, without what they printed.",
        parameters: &[IDS, WAIT],
        body: None,
        answers: &[json(200, "Each of them, in order.", Schemas::written::<batch::Shown<'static>>)],
        problems: &["malformed_request", "bad_value", "out_of_range", "too_many"],
    },
];

/// Each submission is read on its own, so the type that is read has no form for it.
fn batch_schema(schemas: &mut Schemas) -> Value {
    let one = schemas.read::<decode::Submission>();
    json!({"type": "object", "required": ["submissions"], "additionalProperties": false, "properties": {
        "submissions": {"type": "array", "minItems": 1, "maxItems": batch::MOST, "items": {"anyOf": [one, {}]},
            "description": "At most as many as the operator allows (`http.batch`). One that cannot be read is answered on its own."}}})
}

fn submissions() -> Vec<(&'static str, Value)> {
    vec![
        ("one file", json!({"language": "python", "source": "print(sum(map(int, input().split())))", "stdin": "40 2"})),
        (
            "several files, limits, arguments",
            json!({"language": "c", "entry": "main.c", "args": ["2"], "env": {"WORD": "x"}, "streams": "merged",
                "files": {"main.c": "#include \"two.h\"\nint main(void) { return two() - 2; }",
                    "two.c": "int two(void) { return 2; }", "two.h": "int two(void);"},
                "limits": {"compile": {"wall_ms": 20_000}, "run": {"wall_ms": 2000, "memory_bytes": 67_108_864}}}),
        ),
    ]
}

fn batches() -> Vec<(&'static str, Value)> {
    let all: Vec<Value> = submissions().into_iter().map(|(_, value)| value).collect();
    vec![("two", json!({"submissions": all}))]
}

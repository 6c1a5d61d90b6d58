//! `/openapi.json`: every route with its parameters, bodies and answers, in OpenAPI 3.1. The form of each body is taken from
//! the type that is read or written there, and the problems of a route from those that the service can tell; so neither can
//! come to differ. `docs/openapi.json` is the same text.

mod operations;
pub mod schemas;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use self::operations::{Answer, Body, Operation, Parameter};
use self::schemas::Schemas;
use super::problem;
use crate::http::reply::Reply;
use crate::http::routes::as_json;

/// Written once.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| text().into());

/// `GET /openapi.json`.
pub fn show() -> Reply {
    as_json(hyper::StatusCode::OK, TEXT.clone().into())
}

fn text() -> String {
    // What was read from JSON can be written again.
    serde_json::to_string_pretty(&document()).unwrap_or_default() + "\n"
}

fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations::all() {
        let item = paths.entry(operation.path).or_insert_with(|| json!({}));
        item[operation.method] = shown(operation, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "casemate",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Runs code from strangers, each step in a container of its own.",
            "description": "The routes below `/v1/` say all that can be said about a submission; the four others (`/submit`, \
                `/status`, `/result`, `/queue-stats`) are for clients of the Monaco contract. Both see the same submissions.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.all(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "Where the operator has given out tokens."}},
        },
    })
}

fn shown(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut shown = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": responses(operation, schemas),
    });
    let parameters: Vec<Value> = operation.parameters.iter().map(Parameter::shown).collect();
    if !parameters.is_empty() {
        shown["parameters"] = parameters.into();
    }
    if operation.is_v1() || operation.tag == "monaco" || operation.problems.contains(&"no_token") {
        // Nobody is asked for one where the operator has given out none.
        shown["security"] = json!([{}, {"token": []}]);
    }
    if let Some(Body { schema, examples }) = operation.body {
        let examples: Map<String, Value> =
            examples().into_iter().map(|(name, value)| (name.to_owned(), json!({"value": value}))).collect();
        let content = json!({"application/json": {"schema": schema(schemas), "examples": examples}});
        shown["requestBody"] = json!({"required": true, "content": content});
    }
    shown
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut all: BTreeMap<u16, Value> = BTreeMap::new();
    for Answer { status, what, kind, schema, location } in operation.answers {
        let mut answer = json!({"description": what});
        if let Some(schema) = schema {
            answer["content"] = json!({*kind: {"schema": schema(schemas)}});
        }
        if *location {
            answer["headers"] = json!({"Location": {
                "description": "Where to ask for the submission.", "required": true, "schema": {"type": "string", "format": "uri-reference"}}});
        }
        all.insert(*status, answer);
    }
    // What any request may meet, and what this one may.
    // The Monaco routes ask for a token only where the operator wants that.
    let general: &[_] = match operation.tag {
        "service" | "page" if !operation.is_v1() => &["unknown_method", "unknown_host", "internal"],
        _ => &["unknown_method", "unknown_host", "internal", "no_token"],
    };
    for (status, kinds) in problem::by_status(|kind| general.contains(&kind) || operation.problems.contains(&kind)) {
        let refused = refusal(status, &kinds, operation.is_v1(), schemas);
        all.entry(status).or_insert(refused);
    }
    Value::Object(all.into_iter().map(|(status, answer)| (status.to_string(), answer)).collect())
}

fn refusal(status: u16, kinds: &[(&'static str, &'static str)], documents: bool, schemas: &mut Schemas) -> Value {
    let titles: Vec<_> = kinds.iter().map(|(kind, title)| format!("{title} (`{kind}`)")).collect();
    let mut answer = json!({"description": titles.join("; ") + "."});
    answer["content"] = if documents {
        let types: Vec<_> = kinds.iter().map(|(kind, _)| problem::urn(kind)).collect();
        // Both are described where the whole is.
        let own = json!({"properties": {"type": {"enum": types}, "status": {"const": status}}});
        json!({"application/problem+json": {"schema": {"allOf": [schemas.problem(), own]}}})
    } else {
        json!({"text/plain": {"schema": {"type": "string"}}})
    };
    let headers = match status {
        401 => {
            json!({"WWW-Authenticate": {"description": "`Bearer`.", "required": true, "schema": {"type": "string"}}})
        }
        429 => {
            json!({"Retry-After": {"description": "Seconds to wait.", "required": true, "schema": {"type": "integer"}}})
        }
        405 => {
            json!({"Allow": {"description": "The methods that there are.", "required": true, "schema": {"type": "string"}}})
        }
        503 => {
            json!({"Retry-After": {"description": "Seconds to wait before another try.", "schema": {"type": "integer"}}})
        }
        _ => return answer,
    };
    answer["headers"] = headers;
    answer
}

impl Parameter {
    fn shown(&self) -> Value {
        json!({
            "name": self.name,
            "in": self.place,
            "required": self.required,
            "description": self.what,
            "schema": (self.schema)(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_REFERENCE=1 cargo test reference` writes the file.
    #[test]
    fn the_reference_file_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(path, text()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), text());
    }

    /// Each route of the service is there with the methods that it knows, and nothing else.
    #[test]
    fn every_route_is_described() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        for (path, item) in paths {
            let real = path.replace("{id}", "6423259c-ee14-45aa-9c90-d5e989f92aa1");
            let allow = crate::http::routes::allowed(&real).unwrap_or_else(|| panic!("there is no route {path}"));
            let mut known: Vec<_> = allow
                .split(", ")
                .filter(|method| !["OPTIONS", "HEAD"].contains(method))
                .map(str::to_lowercase)
                .collect();
            known.sort();
            assert_eq!(item.as_object().unwrap().keys().cloned().collect::<Vec<_>>(), known, "{path}");
        }
    }

    /// Calls `see` with every object of JSON in it and its place.
    fn each(value: &Value, place: &str, see: &mut impl FnMut(&Value, &str)) {
        see(value, place);
        let parts: Vec<(String, &Value)> = match value {
            Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
            Value::Array(all) => all.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
            _ => return,
        };
        for (name, value) in parts {
            each(value, &format!("{place}/{name}"), see);
        }
    }

    #[test]
    fn everything_has_its_description() {
        let mut seen = 0;
        each(&document(), "", &mut |value, place| {
            let described = |value: &Value| value["description"].as_str().is_some_and(|text| !text.is_empty());
            let Some(properties) = value["properties"].as_object().filter(|_| !place.ends_with("/allOf/1")) else {
                return;
            };
            for (name, property) in properties {
                // The one member of a variant is what the variant says.
                let alone = properties.len() == 1 && described(value);
                assert!(alone || described(property), "{place}/properties/{name}: {property}");
                seen += 1;
            }
        });
        assert!(seen > 150, "{seen}");
        // Neither a link that leads somewhere in the code alone, nor one to a type.
        assert!(!text().contains("[`") && !text().contains("::"), "a link of the code's own");
    }

    /// What is refused in any case is said to be.
    #[test]
    fn bounds_that_no_operator_sets_are_described() {
        let document = document();
        for (place, bound) in [
            ("Submission/properties/files/maxProperties", 256),
            ("Submission/properties/args/maxItems", 256),
            ("Submission/properties/env/maxProperties", 128),
            ("Submission/properties/collect/maxItems", 64),
            ("Submission/properties/source/minLength", 1),
            ("Test/properties/name/maxLength", 256),
            ("Submission/properties/tests/maxItems", 10_000),
            ("LimitsWanted/properties/memory_bytes/minimum", 16 << 20),
            ("LimitsWanted/properties/output_bytes/minimum", 0),
        ] {
            assert_eq!(document.pointer(&format!("/components/schemas/{place}")), Some(&json!(bound)), "{place}");
        }
        let guarded = |path: &str| document["paths"][path]["get"]["security"] == json!([{}, {"token": []}]);
        for (path, wants) in
            [("/metrics", true), ("/status", true), ("/v1/languages", true), ("/healthz", false), ("/", false)]
        {
            assert_eq!(guarded(path), wants, "{path}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let (document, text) = (document(), text());
        let mut found = 0;
        for target in text.split("\"$ref\": \"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(target).is_some(), "nothing at {target}");
            found += 1;
        }
        assert!(found > 10, "{found}");
    }
}

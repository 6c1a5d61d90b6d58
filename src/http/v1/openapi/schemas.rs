//! The forms of bodies, taken from the types that are read and written.

use std::borrow::Cow;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::http::v1::decode::{Content, Many, Object, Pairs};
use crate::http::v1::verdict::NOT_RUN;
use crate::http::v1::{events, problem};
use crate::service::leasts;

/// Where the document keeps them.
const PLACE: &str = "/components/schemas";

/// Where a submission can stand.
pub const STATES: &[&str] = &["pending", "queued", "running", "completed", "failed"];

/// Every verdict of a submission or a step.
pub const VERDICTS: &[&str] = &[
    "accepted",
    "compile_error",
    "wrong_answer",
    "exit_status",
    "signal",
    "time_limit",
    "cpu_limit",
    "memory_limit",
    "output_limit",
    "process_limit",
    "file_limit",
    "syscall_denied",
    "cancelled",
    "internal_error",
];

/// All that the document needs, each once.
pub struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    pub fn new() -> Self {
        let settings = || SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = PLACE.into());
        Self {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }

    /// Of what a request brings.
    pub fn read<T: JsonSchema>(&mut self) -> Value {
        self.read.subschema_for::<T>().to_value()
    }

    /// Of what a reply has.
    pub fn written<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().to_value()
    }

    /// Of problem documents.
    pub fn problem(&mut self) -> Value {
        self.written::<problem::Document<'static>>()
    }

    /// Everything that was referred to.
    pub fn all(mut self) -> Value {
        let mut all: Map<String, Value> = self.read.take_definitions(true);
        // Known where limits are admitted, which is above where their type is.
        for (name, least) in leasts() {
            if let Some(limit) = all.get_mut("LimitsWanted").and_then(|limits| limits["properties"].get_mut(name)) {
                limit["minimum"] = least.into();
            }
        }
        for (name, schema) in self.written.take_definitions(true) {
            debug_assert!(all.get(&name).is_none_or(|other| *other == schema), "two forms are called {name}");
            all.insert(name, schema);
        }
        all.into()
    }
}

/// A moment (RFC 3339).
pub fn moment(_: &mut SchemaGenerator) -> Schema {
    schema(json!({"type": "string", "format": "date-time"}))
}

/// The same, or null.
pub fn moment_or_null(_: &mut SchemaGenerator) -> Schema {
    schema(json!({"type": ["string", "null"], "format": "date-time"}))
}

/// A submission's id.
pub fn id() -> Value {
    json!({"type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"})
}

/// The same, in the place of a field.
pub fn id_of(_: &mut SchemaGenerator) -> Schema {
    schema(id())
}

/// The same, or null.
pub fn id_or_null(_: &mut SchemaGenerator) -> Schema {
    schema(json!({"oneOf": [id(), {"type": "null"}]}))
}

/// Where a submission stands.
pub fn status(_: &mut SchemaGenerator) -> Schema {
    schema(json!({"type": "string", "enum": STATES}))
}

/// One word for how it ended.
pub fn verdict(_: &mut SchemaGenerator) -> Schema {
    schema(json!({"type": "string", "enum": VERDICTS}))
}

/// Of a test that did not take place.
pub fn not_run(_: &mut SchemaGenerator) -> Schema {
    schema(json!({"const": NOT_RUN}))
}

/// The same, or null.
pub fn verdict_or_null(_: &mut SchemaGenerator) -> Schema {
    schema(json!({"oneOf": [{"type": "string", "enum": VERDICTS}, {"type": "null"}]}))
}

/// One event of a stream, once its lines are taken apart (WHATWG HTML, 9.2); in `data` is JSON.
pub fn event() -> Value {
    json!({
        "type": "object",
        "properties": {
            "event": {"type": "string", "enum": events::NAMES, "description": "What happened."},
            "id": {"type": "string", "description": "How far its reader has come, to be sent as `Last-Event-ID`."},
            "data": {"type": "string", "contentMediaType": "application/json", "description": "The rest of it, as an object."},
        },
        "required": ["event", "data"],
    })
}

/// A schema that is an object of JSON; nothing else is handed here.
pub fn schema(value: Value) -> Schema {
    Schema::try_from(value).unwrap_or_default()
}

/// Text, or bytes that are none.
impl JsonSchema for Content {
    fn schema_name() -> Cow<'static, str> {
        "Content".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let bytes =
            json!({"type": "string", "contentEncoding": "base64", "description": "Bytes in base64 (RFC 4648, 4)."});
        schema(json!({"oneOf": [
            {"type": "string"},
            {"type": "object", "properties": {"base64": bytes}, "required": ["base64"], "additionalProperties": false},
        ]}))
    }
}

/// A list.
impl<T: JsonSchema, const MOST: usize> JsonSchema for Many<T, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("ManyOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema(json!({"type": "array", "maxItems": MOST, "items": generator.subschema_for::<T>()}))
    }
}

/// An object whose names are not ours.
impl<T: JsonSchema, const MOST: usize> JsonSchema for Pairs<T, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("PairsOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema(json!({"type": "object", "maxProperties": MOST, "additionalProperties": generator.subschema_for::<T>()}))
    }
}

/// What it holds.
impl<T: JsonSchema> JsonSchema for Object<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

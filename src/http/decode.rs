//! The body of `POST /submit`, read as the clients' original read it (Go's `encoding/json`): names of fields without
//! regard to the case of ASCII letters, the last of several wins, null changes nothing, what follows the first value
//! is ignored, text that is not Unicode becomes U+FFFD. Messages name the field and never repeat what was sent.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::text::{lossy, without_surrogates};
use crate::model::Refusal;
use crate::service::Request;

/// The fields that we read.
const FIELDS: [&str; 3] = ["language", "code", "input"];

/// The request in a body.
///
/// # Errors
/// [`Refusal::InvalidBody`].
pub fn submission(body: &[u8]) -> Result<Request, Refusal> {
    let body = lossy(body);
    if body.trim_ascii().is_empty() {
        return Err(Refusal::InvalidBody("it is empty".into()));
    }
    let mut reading = None;
    // From bytes, not from text: only so may a string hold a lone surrogate.
    let mut json = serde_json::Deserializer::from_slice(body.as_bytes());
    let request = Object { reading: &mut reading }.deserialize(&mut json);
    let request = request.map_err(|error| Refusal::InvalidBody(explain(&error, reading)))?;
    match control_character(body.as_bytes()) {
        None => Ok(request),
        Some((field, line)) => {
            let field = field.map(|field| format!(" of field \"{field}\"")).unwrap_or_default();
            let text = format!("a string{field} has an unescaped control character in line {line}");
            Err(Refusal::InvalidBody(text))
        }
    }
}

/// What is wrong, without the parser's own words where those could repeat a value.
fn explain(error: &serde_json::Error, reading: Option<&str>) -> String {
    let field = reading.map(|field| format!(" in field \"{field}\"")).unwrap_or_default();
    match error.classify() {
        Category::Eof => format!("the JSON ends too early{field}"),
        // The text is one of ours; the parser adds a position to it.
        Category::Data => {
            let text = error.to_string();
            text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned()
        }
        Category::Syntax | Category::Io => {
            format!("malformed JSON{field} at line {} column {}", error.line(), error.column())
        }
    }
}

/// An object with our fields and any others.
struct Object<'a> {
    /// The field of ours whose value is being read.
    reading: &'a mut Option<&'static str>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Request;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Request, D::Error> {
        // Not `deserialize_map`: that would put the value into the error.
        json.deserialize_any(self)
    }
}

macro_rules! refuse {
    ($($visit:ident($($arg:ident: $type:ty)?) $what:literal;)*) => {$(
        fn $visit<E: serde::de::Error>(self $(, $arg: $type)?) -> Result<Self::Value, E> {
            $(let _: $type = $arg;)?
            Err(self.refuse($what))
        }
    )*};
}

impl Object<'_> {
    #[allow(clippy::unused_self)]
    fn refuse<E: serde::de::Error>(&self, what: &str) -> E {
        E::custom(format_args!("it must be a JSON object, not {what}"))
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Request;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    refuse! {
        visit_unit() "null";
        visit_bool(value: bool) "a boolean";
        visit_i64(value: i64) "a number";
        visit_u64(value: u64) "a number";
        visit_f64(value: f64) "a number";
        visit_str(value: &str) "a string";
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Request, A::Error> {
        Err(self.refuse("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
        let mut request = Request::default();
        while let Some(key) = map.next_key_seed(Text(None))? {
            let name = FIELDS.into_iter().find(|name| key.as_deref().is_some_and(|key| name.eq_ignore_ascii_case(key)));
            *self.reading = name;
            let Some(name) = name else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if let Some(value) = map.next_value_seed(Text(Some(name)))? {
                *match name {
                    "language" => &mut request.language,
                    "code" => &mut request.code,
                    _ => &mut request.input,
                } = Some(value);
            }
            *self.reading = None;
        }
        Ok(request)
    }
}

/// A string or null; with the name of the field that it is the value of, `None` for a key.
struct Text(Option<&'static str>);

impl Text {
    fn refuse<E: serde::de::Error>(&self, what: &str) -> E {
        E::custom(format_args!("field \"{}\" must be a string, not {what}", self.0.unwrap_or_default()))
    }
}

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        if self.0.is_some() { json.deserialize_option(self) } else { json.deserialize_bytes(self) }
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field \"{}\" to be a string", self.0.unwrap_or_default())
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        let field = self.0.unwrap_or_default();
        json.deserialize_bytes(self).map_err(|error| {
            // The parser's error for another type may show the value.
            let text = error.to_string();
            let what = ["integer", "floating point", "boolean", "map"]
                .into_iter()
                .find(|what| text.starts_with(&format!("invalid type: {what}")));
            match what {
                Some("map") => D::Error::custom(format_args!("field \"{field}\" must be a string, not an object")),
                Some("boolean") => D::Error::custom(format_args!("field \"{field}\" must be a string, not a boolean")),
                Some(_) => D::Error::custom(format_args!("field \"{field}\" must be a string, not a number")),
                None => error,
            }
        })
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Some(without_surrogates(bytes.to_vec())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.refuse("an array"))
    }
}

/// The first control character inside a string of the first value of `json`, which is known to be an object: the
/// field of ours that it is in, and the line. The parser, reading strings as bytes, lets these pass.
fn control_character(json: &[u8]) -> Option<(Option<&'static str>, usize)> {
    let (mut depth, mut line, mut in_string, mut escaped) = (0_usize, 1, false, false);
    let (mut start, mut field, mut is_key) = (0, None, false);
    for (at, &byte) in json.iter().enumerate() {
        line += usize::from(byte == b'\n');
        if in_string {
            match byte {
                _ if byte < 0x20 => return Some((field, line - usize::from(byte == b'\n'))),
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    in_string = false;
                    if is_key {
                        let key = &json[start..at];
                        field = FIELDS.into_iter().find(|name| key.eq_ignore_ascii_case(name.as_bytes()));
                    }
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => (in_string, start) = (true, at + 1),
            b':' => is_key = false,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 1 && matches!(byte, b'{' | b',') {
            (is_key, field) = (true, None);
        }
        if depth == 0 && byte == b'}' {
            break;
        }
    }
    None
}

#[cfg(test)]
mod tests;

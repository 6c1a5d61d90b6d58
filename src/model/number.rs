//! A number as a client wrote it: whether it may be so large, or have a fraction, is known only where its bounds are.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Unexpected};
use serde_json::value::RawValue;

/// Characters that are kept of it, and that are shown.
const LONGEST: usize = 1000;
const SHOWN: usize = 90;

/// A number in JSON (RFC 8259, 6), of whatever size and sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(Box<str>);

impl Number {
    /// The whole number that it is, however it is written: `1000`, `1000.0` and `1e3` are the same. `None` for one that is
    /// negative, has a fraction or is beyond 64 bits.
    #[must_use]
    pub fn whole(&self) -> Option<u64> {
        let (mantissa, exponent) = self.0.split_once(['e', 'E']).unwrap_or((&self.0, "0"));
        let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{before}{behind}");
        let significant = digits.trim_end_matches('0');
        let count = |length: usize| i64::try_from(length).ok();
        let shift = count(digits.len() - significant.len())? - count(behind.len())?;
        let exponent = exponent.parse::<i64>().ok()?.checked_add(shift)?;
        match significant {
            "" | "-" => Some(0),
            _ => significant.parse::<u64>().ok()?.checked_mul(10_u64.checked_pow(exponent.try_into().ok()?)?),
        }
    }

    /// What it is as a double: rounded, and infinite where it is too large.
    #[must_use]
    pub fn double(&self) -> Option<f64> {
        self.0.parse().ok()
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(SHOWN).collect();
        let rest = if shown.len() < self.0.len() { "…" } else { "" };
        write!(f, "{shown}{rest}")
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(json)?;
        let text = text.get();
        let other = match text.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => {
                let kept: String = text.chars().take(LONGEST).collect();
                let cut = if kept.len() < text.len() { "…" } else { "" };
                return Ok(Self((kept + cut).into()));
            }
            Some(b'"') => Unexpected::Other("string"),
            Some(b'[') => Unexpected::Seq,
            Some(b'{') => Unexpected::Map,
            Some(b't' | b'f') => Unexpected::Bool(text == "true"),
            _ => Unexpected::Unit,
        };
        Err(D::Error::invalid_type(other, &"a number"))
    }
}

/// In the place of a limit: a whole number.
impl JsonSchema for Number {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "format": "uint64", "minimum": 0})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn whole_numbers_however_they_are_written() {
        let long = format!("1000.{}", "0".repeat(500));
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("0.0e9", 0),
            ("1000", 1000),
            ("1000.0", 1000),
            (&long, 1000),
            ("1e3", 1000),
            ("1E+3", 1000),
            ("100000e-2", 1000),
            ("1.5e1", 15),
            ("1.50e1", 15),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("18446744073709551615", u64::MAX),
            ("1844674407370955161.5e1", u64::MAX),
        ] {
            assert_eq!(number(text).whole(), Some(expected), "{text}");
        }
        for text in [
            "-1",
            "-1.0",
            "0.5",
            "1e-1",
            "1000.0001",
            "18446744073709551616",
            "1e20",
            "1e400",
            "1e99999999999999999999",
            "-1e99999999999999999999",
            "1e-99999999999999999999",
            &"9".repeat(100_000),
        ] {
            assert_eq!(number(text).whole(), None, "{text}");
        }
        assert_eq!((number("1e400").double(), number("-0.5").double()), (Some(f64::INFINITY), Some(-0.5)));
    }

    #[test]
    fn it_is_shown_as_it_was_written() {
        for text in ["18446744073709551616", "1e400", "-0.50"] {
            assert_eq!(number(text).to_string(), text);
        }
        let cut = number(&"9".repeat(100_000)).to_string();
        assert_eq!(cut, "9".repeat(SHOWN) + "…");
    }

    #[test]
    fn what_is_no_number() {
        for (text, word) in
            [("\"1\"", "string"), ("[1]", "sequence"), ("{}", "map"), ("true", "boolean"), ("null", "null")]
        {
            let error = serde_json::from_str::<Number>(text).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("expected a number"), "{text}: {error}");
        }
        for text in ["01", "1.", ".5", "+1", "0x10", "NaN", "-"] {
            assert!(serde_json::from_str::<Number>(text).is_err(), "{text}");
        }
    }
}

//! What a receiver saw in each slot, against the bits that were sent.

use std::collections::BTreeMap;

use serde_json::Value;

/// Sent in this order. Neither it nor a part of it repeats.
pub const BITS: &str = "10110010";

/// What came of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The same in every slot.
    Silent,
    /// The bits, or their opposites.
    Crossed,
    /// Something else.
    Garbled,
}

/// Reads a row of values.
pub fn outcome(values: &[Value]) -> Outcome {
    let Some(first) = values.first() else { return Outcome::Garbled };
    if values.iter().all(|value| value == first) {
        return Outcome::Silent;
    }
    let numbers: Vec<i64> = values.iter().filter_map(Value::as_i64).collect();
    if numbers.len() != values.len() || numbers.len() != BITS.len() {
        return Outcome::Garbled;
    }
    // Whether some threshold tells ones from zeros.
    let of = |bit: char| BITS.chars().zip(&numbers).filter(move |(sent, _)| *sent == bit).map(|(_, number)| *number);
    let above = |high: char, low: char| of(high).min() > of(low).max();
    if above('1', '0') || above('0', '1') { Outcome::Crossed } else { Outcome::Garbled }
}

/// What a program of the pair printed.
#[derive(Clone, Debug)]
pub struct Printed {
    /// Seconds by which it was late in the worst slot.
    pub late: f64,
    /// By channel.
    pub seen: BTreeMap<String, Vec<Value>>,
}

impl Printed {
    /// Panics with what it is when it is no such line.
    pub fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        let seen = value["seen"].as_object().unwrap_or_else(|| panic!("no channels in {text:?}"));
        let row = |(name, values): (&String, &Value)| (name.clone(), values.as_array().cloned().unwrap_or_default());
        Self { late: value["late"].as_f64().unwrap_or(f64::MAX), seen: seen.iter().map(row).collect() }
    }
}

#[test]
fn rows_are_told_apart() {
    let numbers = |text: &str| text.split(' ').map(|n| Value::from(n.parse::<i64>().unwrap())).collect::<Vec<_>>();
    assert_eq!(outcome(&numbers("1 0 1 1 0 0 1 0")), Outcome::Crossed);
    assert_eq!(outcome(&numbers("40 62 41 40 63 60 42 61")), Outcome::Crossed);
    assert_eq!(outcome(&numbers("400 62 41 40 63 60 39 61")), Outcome::Garbled);
    assert_eq!(outcome(&numbers("400 41 90 80 39 30 70 41")), Outcome::Crossed);
    assert_eq!(outcome(&numbers("5 5 5 5 5 5 5 5")), Outcome::Silent);
    assert_eq!(outcome(&numbers("0 0 0 0 0 0 1 0")), Outcome::Garbled);
    assert_eq!(outcome(&vec![Value::from("No such file"); 8]), Outcome::Silent);
    assert_eq!(outcome(&[Value::from("No such file"), Value::from(1)]), Outcome::Garbled);
    assert_eq!(outcome(&[]), Outcome::Garbled);
}

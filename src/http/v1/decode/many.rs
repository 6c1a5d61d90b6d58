//! Lists, and objects whose names are not ours. No more of them is kept than may be there, so that a body of many that say
//! nothing does not take up many times its size; the rest is counted.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::model::Refusal;

/// The first `MOST` of a list.
#[derive(Debug)]
pub struct Many<T, const MOST: usize> {
    kept: Vec<T>,
    number: usize,
}

/// The first `MOST` members of an object, in their order and with those that come twice.
#[derive(Debug)]
pub struct Pairs<T, const MOST: usize>(Many<(String, T), MOST>);

impl<T, const MOST: usize> Many<T, MOST> {
    /// All of them.
    ///
    /// # Errors
    /// [`Refusal::BadValue`] where there are more.
    pub fn all(self, field: &str, what: &str) -> Result<Vec<T>, Refusal> {
        if self.number > MOST { Err(Refusal::too_many(field, self.number, MOST, what)) } else { Ok(self.kept) }
    }
}

impl<T, const MOST: usize> Pairs<T, MOST> {
    /// All of them.
    ///
    /// # Errors
    /// As [`Many::all`].
    pub fn all(self, field: &str, what: &str) -> Result<Vec<(String, T)>, Refusal> {
        self.0.all(field, what)
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Many<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct List<T, const MOST: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
            type Value = Many<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < MOST {
                    let Some(one) = list.next_element()? else { break };
                    kept.push(one);
                }
                let mut number = kept.len();
                while list.next_element::<IgnoredAny>()?.is_some() {
                    number += 1;
                }
                Ok(Many { kept, number })
            }
        }
        json.deserialize_seq(List(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Pairs<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Entries<T, const MOST: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Entries<T, MOST> {
            type Value = Pairs<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < MOST {
                    let Some(pair) = map.next_entry()? else { break };
                    kept.push(pair);
                }
                let mut number = kept.len();
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    number += 1;
                }
                Ok(Pairs(Many { kept, number }))
            }
        }
        json.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(number: usize) -> Many<String, 3> {
        serde_json::from_str(&format!("[{}]", vec![r#""""#; number].join(","))).unwrap()
    }

    #[test]
    fn no_more_is_kept_than_may_be_there_and_all_are_counted() {
        for number in 0..=3 {
            assert_eq!(list(number).all("args", "words").unwrap().len(), number);
        }
        let many = list(100_000);
        assert!(many.kept.capacity() < 10, "{}", many.kept.capacity());
        let Err(Refusal::BadValue { field, value, remedy, .. }) = many.all("args", "words") else { panic!() };
        assert_eq!(
            (field.as_str(), value.as_deref(), remedy.as_str()),
            ("args", Some("100000"), "give at most 3 words")
        );

        let object = format!("{{{}}}", vec![r#""a":1"#; 1000].join(","));
        let many: Pairs<u8, 3> = serde_json::from_str(&object).unwrap();
        assert!(many.0.kept.capacity() < 10 && many.all("env", "variables").is_err());
        let few: Pairs<u8, 3> = serde_json::from_str(r#"{"b":1,"a":2,"b":3}"#).unwrap();
        assert_eq!(few.all("env", "").unwrap(), [("b".to_owned(), 1), ("a".to_owned(), 2), ("b".to_owned(), 3)]);
        // What is behind is JSON all the same.
        for text in [r#"["","","",""#, r#"["","","",x]"#] {
            assert!(serde_json::from_str::<Many<String, 3>>(text).is_err(), "{text}");
        }
    }
}

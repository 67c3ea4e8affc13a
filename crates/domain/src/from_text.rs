//! What is written as text, read where it lies.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, Visitor},
};

/// Makes a `T` of a string. `String::deserialize` would copy it first, and so would `Cow::<str>::deserialize`, which never borrows.
pub(crate) fn read<'de, D, T, R>(deserializer: D, parse: impl FnOnce(&str) -> Result<T, R>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    R: fmt::Display,
{
    deserializer.deserialize_str(Text(parse))
}

struct Text<P>(P);

impl<T, R: fmt::Display, P: FnOnce(&str) -> Result<T, R>> Visitor<'_> for Text<P> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

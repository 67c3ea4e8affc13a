//! How a fact is read: in one go. What serde derives for a tag among the fields (`tag`, and `flatten` around it) makes copies of all
//! fields before it looks for the tag, twice: 2.6 µs for the fact of an item. Facts are written with their kind before its fields, as
//! [`Event`] is declared, so that nothing has to be kept until it comes.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error, IgnoredAny, MapAccess, VariantAccess, Visitor,
        value::{EnumAccessDeserializer, MapAccessDeserializer},
    },
};

use super::{Event, ReadKind};

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fact)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Field {
    Id,
    At,
    App,
    Kind,
    #[serde(other)]
    Other,
}

struct Fact;

impl<'de> Visitor<'de> for Fact {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fact")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let (mut id, mut at, mut app) = (None, None, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Id => id = Some(map.next_value()?),
                Field::At => at = Some(map.next_value()?),
                Field::App => app = Some(map.next_value()?),
                Field::Kind => {
                    let missing = A::Error::missing_field;
                    let (id, at, app) =
                        (id.ok_or_else(|| missing("id"))?, at.ok_or_else(|| missing("at"))?, app.ok_or_else(|| missing("app"))?);
                    let kind = ReadKind::deserialize(EnumAccessDeserializer::new(AtKind(map)))?;
                    return Ok(Event { id, at, app, kind });
                }
                Field::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Err(A::Error::missing_field("kind"))
    }
}

/// The fields from the value of `kind` on.
struct AtKind<A>(A);

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for AtKind<A> {
    type Error = A::Error;
    type Variant = Fields<A>;

    fn variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<(S::Value, Fields<A>), A::Error> {
        Ok((self.0.next_value_seed(seed)?, Fields(self.0)))
    }
}

/// The fields of a kind.
struct Fields<A>(A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        seed.deserialize(MapAccessDeserializer::new(self.0))
    }

    fn unit_variant(self) -> Result<(), A::Error> {
        Err(A::Error::custom("a kind of fact has fields"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("the fields of a fact have names"))
    }
}

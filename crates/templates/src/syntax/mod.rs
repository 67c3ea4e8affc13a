//! What a template may consist of. Everything else is refused when it is loaded, with the place and the way out.
//!
//! Handlebars is parsed by a recursive descent (pest) and allows more than a message needs: inline partials
//! that call themselves abort the process, an unclosed block is reported at the wrong end. So [`tags`] reads
//! the text first and lets only a part of the language through, a part that it knows exactly; [`names`] then
//! walks the parsed template and knows every helper; [`uses`] tells, for lint, which variables it uses.

mod names;
mod tags;
mod uses;

pub(crate) use names::{NameFault, Names, RAW, STEP, meter_loops, parts, sanitise_raw};
pub(crate) use tags::{PartialTag, check_tags, read_tags};
pub(crate) use uses::{MessageUse, Role, Step, Use, Uses, Written};

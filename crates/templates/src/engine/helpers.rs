//! The helpers that write values for the reader's language, and the meter of loops.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, PathAndJson, RenderContext, RenderError, RenderErrorReason, ScopedJson,
};
use serde_json::Value;

use super::{
    budget::{Budget, PARTS_A_LOOK, Spent},
    text::{Escape, Scope},
};
use crate::{
    limits,
    locale::{
        DateStyle, are_phones_loaded, format_date, format_money, format_number, format_phone, format_relative, load_phones,
        parse_decimal,
    },
    markdown, sanitize,
};

/// A failure of ours on its way through the engine.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelperError {
    #[error("{0}")]
    BadValue(String),
    #[error("too many rounds of loops")]
    TooManySteps,
    #[error("it takes too long")]
    TooSlow,
}

impl From<HelperError> for RenderError {
    fn from(error: HelperError) -> Self {
        RenderErrorReason::NestedError(Box::new(error)).into()
    }
}

impl From<Spent> for RenderError {
    fn from(spent: Spent) -> Self {
        match spent {
            Spent::Steps => HelperError::TooManySteps.into(),
            Spent::Time => HelperError::TooSlow.into(),
        }
    }
}

fn bad(message: &str) -> RenderError {
    HelperError::BadValue(message.to_owned()).into()
}

type Result<T> = std::result::Result<T, RenderError>;

/// The value at `index`; a variable that is missing from the data is named.
fn value<'a, 'rc>(h: &'a Helper<'rc>, index: usize, bad_use: &str) -> Result<&'a Value> {
    let value: &PathAndJson<'rc> = h.param(index).ok_or_else(|| bad(bad_use))?;
    if value.is_value_missing() {
        return Err(RenderError::strict_error(value.relative_path()));
    }
    Ok(value.value())
}

/// What a helper computes from its values.
type Compute = fn(&Helper<'_>, &Scope<'_>) -> Result<Value>;

/// A helper that a text may call: its name, what it computes, and how many usual parts that takes as long as.
pub(super) type Named = (&'static str, Compute, usize);

/// A helper that gives one value.
pub(super) struct ValueHelper<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) compute: Compute,
    pub(super) parts: usize,
}

/// What making a text for a language takes.
const FORMAT: usize = 16;

/// All that need to know the reader, or what may still be spent.
pub(super) const VALUE_HELPERS: [Named; 7] = [
    ("money", |h, scope| money(h, scope).map(Value::String), FORMAT),
    ("number", |h, scope| number(h, scope).map(Value::String), FORMAT),
    ("date", |h, scope| date(h, scope).map(Value::String), FORMAT),
    ("relative", |h, scope| relative(h, scope).map(Value::String), FORMAT),
    ("phone", |h, scope| phone(h, scope).map(Value::String), FORMAT),
    ("t", |h, scope| message(h, scope).map(Value::String), FORMAT),
    // What it finds is copied, and may be large.
    ("lookup", |h, _| lookup(h), PARTS_A_LOOK),
];

impl HelperDef for ValueHelper<'_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>> {
        self.scope.budget.work(self.parts)?;
        (self.compute)(h, self.scope).map(ScopedJson::Derived)
    }
}

/// `{{lookup list 0}}`, `{{lookup object name}}`
fn lookup(h: &Helper<'_>) -> Result<Value> {
    let missing = |i| RenderErrorReason::ParamNotFoundForIndex("lookup", i);
    let (within, key) = (h.param(0).ok_or(missing(0))?.value(), h.param(1).ok_or(missing(1))?.value());
    let found = match within {
        Value::Array(list) => key.as_u64().and_then(|i| list.get(usize::try_from(i).ok()?)),
        Value::Object(fields) => key.as_str().and_then(|name| fields.get(name)),
        _ => None,
    };
    found.cloned().ok_or_else(|| RenderError::strict_error(None))
}

/// `(eq a b)`, `(ne a b)`: of values that are no lists or objects, since to compare those may take for ever.
pub(super) struct Compare {
    pub(super) name: &'static str,
    pub(super) equal: bool,
}

impl HelperDef for Compare {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>> {
        let side = |i| match h.param(i).filter(|side| !side.is_value_missing()).map(PathAndJson::value) {
            None => Err(RenderErrorReason::ParamNotFoundForIndex(self.name, i).into()),
            Some(Value::Array(_) | Value::Object(_)) => {
                Err(bad(&format!("`{}` compares texts, numbers and truth values, no lists or objects", self.name)))
            }
            Some(value) => Ok(value),
        };
        Ok(ScopedJson::Derived(Value::Bool((side(0)? == side(1)?) == self.equal)))
    }
}

/// `{{money amount}}` with `{"value": "1234.50", "currency": "CNY"}`, or `{{money value "CNY"}}`.
fn money(h: &Helper<'_>, scope: &Scope<'_>) -> Result<String> {
    let usage = "`money` wants an amount {\"value\": \"1234.50\", \"currency\": \"CNY\"}, or a value and a currency";
    let amount = value(h, 0, usage)?;
    let (number, currency) = match amount {
        Value::Object(amount) => (amount.get("value"), amount.get("currency")),
        number => (Some(number), Some(value(h, 1, usage)?)),
    };
    let number = number.and_then(parse_decimal).ok_or_else(|| bad(usage))?;
    let currency = currency.and_then(Value::as_str).ok_or_else(|| bad(usage))?;
    format_money(&number, currency, scope.locale).ok_or_else(|| bad(usage))
}

/// `{{number n}}`
fn number(h: &Helper<'_>, scope: &Scope<'_>) -> Result<String> {
    let usage = "`number` wants a number such as 1234.5 or \"1234.50\", at most 40 digits";
    format_number(value(h, 0, usage)?, scope.locale).ok_or_else(|| bad(usage))
}

/// `{{date d}}`, `{{date d "medium"}}`, `{{date at time=true}}`
fn date(h: &Helper<'_>, scope: &Scope<'_>) -> Result<String> {
    let usage = "`date` wants a date (2026-12-24) or an RFC 3339 time, then short, medium or long, and time=true only for a time";
    let text = value(h, 0, usage)?.as_str().ok_or_else(|| bad(usage))?;
    let style = match h.param(1).map(|style| style.value().as_str()) {
        None | Some(Some("long")) => DateStyle::Long,
        Some(Some("medium")) => DateStyle::Medium,
        Some(Some("short")) => DateStyle::Short,
        Some(_) => return Err(bad(usage)),
    };
    let with_time = h.hash_get("time").and_then(|v| v.value().as_bool()).unwrap_or(false);
    format_date(text, style, with_time, scope.timezone, scope.locale).ok_or_else(|| bad(usage))
}

/// `{{relative at}}`
fn relative(h: &Helper<'_>, scope: &Scope<'_>) -> Result<String> {
    let usage = "`relative` wants a date (2026-12-24) or an RFC 3339 time";
    let text = value(h, 0, usage)?.as_str().ok_or_else(|| bad(usage))?;
    format_relative(text, scope.now, scope.timezone, scope.locale).ok_or_else(|| bad(usage))
}

/// `{{phone number}}`
fn phone(h: &Helper<'_>, scope: &Scope<'_>) -> Result<String> {
    let usage = "`phone` wants a telephone number with its country, such as +493012345678";
    let text = value(h, 0, usage)?.as_str().ok_or_else(|| bad(usage))?;
    if !are_phones_loaded() {
        scope.budget.besides(load_phones);
    }
    format_phone(text, scope.locale).ok_or_else(|| bad(usage))
}

/// `{{t "key" n=count}}`
fn message(h: &Helper<'_>, scope: &Scope<'_>) -> Result<String> {
    let key = value(h, 0, "`t` wants the key of a message")?.as_str().ok_or_else(|| bad("`t` wants the key of a message"))?;
    for given in h.hash().values() {
        if given.is_value_missing() {
            return Err(RenderError::strict_error(given.relative_path()));
        }
    }
    let found = scope.messages.and_then(|messages| messages.find_or_default(scope.locale, key));
    let found = found.ok_or_else(|| bad("`t` names a message that messages/ does not have"))?;
    found.format(scope.locale, h.hash().iter().map(|(name, given)| (*name, given.value()))).map_err(|what| bad(&what))
}

/// `{{{field}}}` where `template.toml` allows it: HTML from the data, sanitised before it enters anything.
pub(super) struct Raw<'a> {
    pub(super) escape: Escape,
    pub(super) budget: &'a Budget,
}

impl HelperDef for Raw<'_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>> {
        self.budget.work(PARTS_A_LOOK)?;
        let usage = "raw output wants a text of HTML, without too many tags";
        let html = value(h, 0, usage)?.as_str().ok_or_else(|| bad(usage))?;
        let clean = sanitize::fragment(html).map_err(|_| bad(usage))?;
        let written = if self.escape == Escape::Markdown { markdown::shield_html(&clean) } else { clean };
        Ok(ScopedJson::Derived(Value::String(written)))
    }
}

/// Called at the head of each round of a loop.
pub(super) struct Step<'a>(pub(super) &'a Budget);

impl HelperDef for Step<'_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>> {
        let parts = h.param(0).and_then(|p| p.value().as_u64()).and_then(|n| usize::try_from(n).ok());
        self.0.pay(parts.unwrap_or(limits::LOOP_PARTS))?;
        Ok(ScopedJson::Derived(Value::String(String::new())))
    }
}

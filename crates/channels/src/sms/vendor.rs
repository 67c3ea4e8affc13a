//! Templates of the gateway's own: some gateways send none but those that they have approved, with parameters that are filled in.

use serde_json::{Map, Value};
use stentor_domain::Locale;

use super::template::{Escape, Message, Template, Values};
use crate::{ConfigError, SentTemplate, SmsProviderConfig, VendorTemplate, config::Place};

/// The part with the parameters as a JSON list, in order.
const LIST: &str = "params";
/// The part with the parameters as a JSON object, by name.
const BY_NAME: &str = "params_by_name";

/// The table of a provider.
pub(super) struct VendorTemplates(Vec<(VendorTemplate, Vec<(String, Template)>)>);

impl VendorTemplates {
    pub(super) fn new(place: Place<'_>, config: &SmsProviderConfig) -> Result<Self, ConfigError> {
        let mut all = Vec::new();
        for template in &config.templates {
            let mut params = Vec::new();
            for param in &template.params {
                let compiled = Template::new(&param.value, Escape::None);
                let key = format!("templates.{}.params.{}", template.template, param.name);
                params.push((param.name.clone(), compiled.map_err(|problem| place.invalid(&key, problem))?));
            }
            all.push((template.clone(), params));
        }
        Ok(Self(all))
    }

    /// What is known of every message, with the values of the first of them where the gateway has none: for trying out.
    pub(super) fn with_first(&self, known: &Map<String, Value>) -> Map<String, Value> {
        let mut known = known.clone();
        if let (Some((first, _)), Some(Value::Object(values))) = (self.0.first(), known.get_mut("values")) {
            for (name, value) in &first.values {
                values.entry(name.clone()).or_insert_with(|| value.clone().into());
            }
        }
        known
    }

    /// Adds to `values` those of the template that stands for the message's, and its parameters as parts.
    pub(super) fn apply(&self, message: &Message<'_>, values: &mut Values) -> Result<(), String> {
        let whole = |values: &Values| vec![(values.own("param").unwrap_or("text").to_owned(), message.text.to_owned())];
        let params = match message.template.and_then(|sent| self.find(sent)) {
            None => whole(values),
            Some((template, params)) => {
                values.set_own(&template.values);
                let filled = params.iter().map(|(name, value)| Ok((name.clone(), value.render(values)?)));
                let filled = filled.collect::<Result<Vec<_>, String>>()?;
                if filled.is_empty() { whole(values) } else { filled }
            }
        };
        let list: Vec<Value> = params.iter().map(|(_, value)| value.as_str().into()).collect();
        let by_name: Map<String, Value> = params.into_iter().map(|(name, value)| (name, value.into())).collect();
        values.set_part(LIST, Value::from(list).to_string());
        values.set_part(BY_NAME, Value::from(by_name).to_string());
        Ok(())
    }

    fn find(&self, sent: &SentTemplate) -> Option<&(VendorTemplate, Vec<(String, Template)>)> {
        let fits = |template: &VendorTemplate| {
            template.template == sent.key && template.locale.as_ref().is_none_or(|locale| is_of(&sent.locale, locale))
        };
        self.0.iter().find(|(template, _)| fits(template))
    }
}

/// Whether a language is this one, or one of its kind: `zh-CN` is of `zh`.
fn is_of(locale: &Locale, kind: &Locale) -> bool {
    let rest = locale.as_str().strip_prefix(kind.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

//! What the templates of a request can do with values: digests, signatures, other spellings.

use std::fmt::Write as _;

use base64::{Engine, prelude::BASE64_STANDARD};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError, RenderErrorReason, ScopedJson,
};
use hmac::{Hmac, Mac};
use md5::Md5;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::template::Escape;

/// Makes the helpers known to `registry`.
pub(super) fn register(registry: &mut Handlebars<'static>) {
    registry.register_helper("digits", Box::new(Digits));
    registry.register_helper("part", Box::new(Raw(part)));
    registry.register_helper("url", Box::new(Raw(|call, _| Ok(Escape::Url.apply(&call.text(0)?)))));
    registry.register_helper("base64", Box::new(Raw(|call, _| Ok(BASE64_STANDARD.encode(call.text(0)?)))));
    registry.register_helper("hash", Box::new(Raw(hash)));
    registry.register_helper("hmac", Box::new(Raw(hmac)));
    registry.unregister_helper("log"); // what it is given are addresses and texts
}

/// `{{digits to}}`: the digits of a value, for gateways that want a number without its plus sign.
struct Digits;

impl HelperDef for Digits {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let value = Call { helper, name: "digits" }.text(0)?;
        Ok(ScopedJson::Derived(value.chars().filter(char::is_ascii_digit).collect::<String>().into()))
    }
}

/// A helper whose result is written as it is: it has been escaped, or is to be looked at by another helper.
struct Raw(fn(&Call<'_, '_>, &Context) -> Result<String, RenderError>);

impl HelperDef for Raw {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        Ok(ScopedJson::Derived((self.0)(&Call { helper, name: "helper" }, context)?.into()))
    }

    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        Ok(out.write(&(self.0)(&Call { helper, name: "helper" }, context)?)?)
    }
}

/// One use of a helper.
struct Call<'a, 'rc> {
    helper: &'a Helper<'rc>,
    name: &'static str,
}

impl Call<'_, '_> {
    fn text(&self, at: usize) -> Result<String, RenderError> {
        let value = self.helper.param(at).map(handlebars::PathAndJson::value);
        value.and_then(plain).ok_or_else(|| RenderErrorReason::ParamNotFoundForIndex(self.name, at).into())
    }

    fn option(&self, name: &str, default: &str) -> String {
        self.helper.hash_get(name).and_then(|v| plain(v.value())).unwrap_or_else(|| default.to_owned())
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn wrong(problem: String) -> RenderError {
    RenderErrorReason::Other(problem).into()
}

/// `{{part "name"}}`: a piece that was made before.
fn part(call: &Call<'_, '_>, context: &Context) -> Result<String, RenderError> {
    let name = call.text(0)?;
    let found = context.data().get("parts").and_then(|parts| parts.get(&name)).and_then(plain);
    found.ok_or_else(|| wrong(format!("there is no part {name:?} before it")))
}

/// `{{hash text with="sha256" as="hex"}}`.
fn hash(call: &Call<'_, '_>, _: &Context) -> Result<String, RenderError> {
    let text = call.text(0)?;
    let digest = match call.option("with", "sha256").as_str() {
        "md5" => Md5::digest(text).to_vec(),
        "sha1" => Sha1::digest(text).to_vec(),
        "sha256" => Sha256::digest(text).to_vec(),
        "sha512" => Sha512::digest(text).to_vec(),
        other => return Err(wrong(format!("knows md5, sha1, sha256 and sha512, but not {other}"))),
    };
    written(&digest, &call.option("as", "hex"))
}

/// `{{hmac key text with="sha256" key="text" as="hex"}}` (RFC 2104).
fn hmac(call: &Call<'_, '_>, _: &Context) -> Result<String, RenderError> {
    let (key, text) = (call.text(0)?, call.text(1)?);
    let key = match call.option("key", "text").as_str() {
        "text" => key.into_bytes(),
        "hex" => hex::decode(key).map_err(|_| wrong("the key is not hexadecimal".into()))?,
        "base64" => BASE64_STANDARD.decode(key).map_err(|_| wrong("the key is not Base64".into()))?,
        other => return Err(wrong(format!("knows keys as text, hex and base64, but not as {other}"))),
    };
    let mac = mac(&call.option("with", "sha256"), &key, text.as_bytes());
    written(&mac.ok_or_else(|| wrong("knows md5, sha1, sha256 and sha512".into()))?, &call.option("as", "hex"))
}

/// The HMAC of `text`; `None` for an algorithm that is not known.
pub(super) fn mac(with: &str, key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    macro_rules! mac {
        ($digest:ty) => {{
            let mut mac = Hmac::<$digest>::new_from_slice(key).ok()?;
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        }};
    }
    Some(match with {
        "md5" => mac!(Md5),
        "sha1" => mac!(Sha1),
        "sha256" => mac!(Sha256),
        "sha512" => mac!(Sha512),
        _ => return None,
    })
}

fn written(bytes: &[u8], form: &str) -> Result<String, RenderError> {
    match form {
        "hex" => Ok(hexadecimal(bytes)),
        "base64" => Ok(BASE64_STANDARD.encode(bytes)),
        other => Err(wrong(format!("writes hex and base64, but not {other}"))),
    }
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

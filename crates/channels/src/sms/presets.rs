//! The gateways that are known by name: files of settings, under what the operator sets.

use crate::{ConfigError, IncomingConfig, ReceiptConfig, SmsPreset, SmsProviderConfig, config::Place};

/// The settings of a provider, its preset's where the operator sets none.
pub(super) fn with_preset(place: Place<'_>, config: &SmsProviderConfig) -> Result<SmsProviderConfig, ConfigError> {
    let text = match config.preset {
        None | Some(SmsPreset::Capture) => return Ok(config.clone()),
        Some(SmsPreset::Kannel) => include_str!("presets/kannel.toml"),
        Some(SmsPreset::Twilio) => include_str!("presets/twilio.toml"),
        Some(SmsPreset::Vonage) => include_str!("presets/vonage.toml"),
        Some(SmsPreset::Aliyun) => include_str!("presets/aliyun.toml"),
        Some(SmsPreset::Tencent) => include_str!("presets/tencent.toml"),
    };
    let preset: SmsProviderConfig = toml::from_str(text).map_err(|e| place.invalid("preset", e.to_string()))?;
    Ok(over(config.clone(), preset))
}

fn over(own: SmsProviderConfig, preset: SmsProviderConfig) -> SmsProviderConfig {
    let mut headers = preset.headers;
    // Names of headers are alike whatever their case.
    headers.retain(|name, _| !own.headers.keys().any(|given| given.eq_ignore_ascii_case(name)));
    headers.extend(own.headers);
    let mut values = preset.values;
    values.extend(own.values);
    SmsProviderConfig {
        preset: own.preset,
        url: own.url.or(preset.url),
        query: own.query.or(preset.query),
        dir: own.dir,
        method: own.method.or(preset.method),
        headers,
        body: own.body.or(preset.body),
        parts: or(own.parts, preset.parts),
        from: own.from,
        username: own.username,
        password: own.password,
        values,
        templates: or(own.templates, preset.templates),
        success: own.success.or(preset.success),
        errors: or(own.errors, preset.errors),
        message_id: own.message_id.or(preset.message_id),
        reason: own.reason.or(preset.reason),
        callback_url: own.callback_url,
        // A preset knows how they are read; whether any are taken, the operator says.
        receipts: own.receipts.map(|own| over_receipts(own, preset.receipts.unwrap_or_default())),
        incoming: own.incoming.map(|own| over_incoming(own, preset.incoming.unwrap_or_default())),
        deadline_ms: own.deadline_ms,
        max_concurrency: own.max_concurrency,
        rate_per_second: own.rate_per_second,
    }
}

fn over_receipts(own: ReceiptConfig, preset: ReceiptConfig) -> ReceiptConfig {
    ReceiptConfig {
        proof: own.proof.or(preset.proof),
        secret: own.secret,
        header: own.header.or(preset.header),
        reference: own.reference.or(preset.reference),
        message_id: own.message_id.or(preset.message_id),
        status: own.status.or(preset.status),
        delivered: or(own.delivered, preset.delivered),
        failed: or(own.failed, preset.failed),
        reason: own.reason.or(preset.reason),
        answer: own.answer.or(preset.answer),
    }
}

fn over_incoming(own: IncomingConfig, preset: IncomingConfig) -> IncomingConfig {
    IncomingConfig {
        proof: own.proof.or(preset.proof),
        secret: own.secret,
        header: own.header.or(preset.header),
        from: own.from.or(preset.from),
        country: own.country.or(preset.country),
        region: own.region.or(preset.region),
        text: own.text.or(preset.text),
        message_id: own.message_id.or(preset.message_id),
        apps: own.apps,
        reply: own.reply.or(preset.reply),
        answer: own.answer.or(preset.answer),
    }
}

fn or<T>(own: Vec<T>, preset: Vec<T>) -> Vec<T> {
    if own.is_empty() { preset } else { own }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sms::{request::RequestTemplates, template::Message};

    /// The header `Authorization` that a preset makes of its vendor's own example, whose words are put in place of ours.
    fn authorization(preset: &str, instead: &[(&str, &str)], message: &Message<'_>) -> String {
        let mut text = preset.to_owned();
        for (ours, theirs) in instead {
            assert!(text.contains(ours), "{ours}");
            text = text.replace(ours, theirs);
        }
        let config: SmsProviderConfig = toml::from_str(&text).unwrap();
        let templates = RequestTemplates::new(Place { channel: "sms", name: "gw" }, &config).unwrap();
        templates.render(message).unwrap().headers["authorization"].to_str().unwrap().to_owned()
    }

    fn message<'a>(now: &str, nonce: &'a str) -> Message<'a> {
        Message { to: "+8613711112222", text: "x", id: "1", now: now.parse().unwrap(), nonce, template: None }
    }

    #[test]
    fn aliyuns_own_example_is_signed_as_its_page_has_it() {
        // https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature, "固定参数示例".
        let example = [
            (
                "url = \"https://dysmsapi.aliyuncs.com/\"",
                "url = \"https://ecs.cn-shanghai.aliyuncs.com/\"\nusername = \"YourAccessKeyId\"\npassword = \"YourAccessKeySecret\"",
            ),
            ("SendSms", "RunInstances"),
            ("2017-05-25", "2014-05-26"),
            (
                "OutId={{id}}&PhoneNumbers={{digits to}}&SignName={{values.sign_name}}&TemplateCode={{values.template_code}}&TemplateParam={{url (part \"params_by_name\")}}",
                "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai",
            ),
        ];
        let message = message("2023-10-26T10:22:32Z", "3156853299f313e23d1673dc12e1703d");
        let signed = authorization(include_str!("presets/aliyun.toml"), &example, &message);
        assert!(signed.starts_with("ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;"), "{signed}");
        assert!(signed.ends_with("Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"), "{signed}");
    }

    #[test]
    fn tencents_own_example_is_signed_as_its_page_has_it() {
        // https://www.tencentcloud.com/document/product/382/40548, "Signature v3", with the key as it is printed there.
        let body = r#"body = '{"PhoneNumberSet":["{{to}}"],"SmsSdkAppId":"{{values.sdk_app_id}}","SignName":"{{values.sign_name}}","TemplateId":"{{values.template_id}}","TemplateParamSet":{{part "params"}},"SessionContext":"{{id}}"}'"#;
        let example = [
            (
                "url = \"https://sms.tencentcloudapi.com/\"",
                "url = \"https://cvm.tencentcloudapi.com/\"\nusername = \"AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE\"\npassword = \"Gu5t9xGARNpq86cd98joQYCN3EXAMPLE\"",
            ),
            (body, r#"body = '{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'"#),
            ("/sms/", "/cvm/"),
            ("\"sms\"", "\"cvm\""),
        ];
        let signed = authorization(include_str!("presets/tencent.toml"), &example, &message("2019-02-25T16:44:25Z", "x"));
        let expected = "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request, \
                        SignedHeaders=content-type;host, Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168";
        assert_eq!(signed, expected);
    }
}

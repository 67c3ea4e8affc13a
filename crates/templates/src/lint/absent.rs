//! What a template lacks: languages, samples, the line beside the subject, the way out of its mails.

use std::collections::BTreeSet;

use stentor_domain::Locale;

use super::{Files, Report};
use crate::{engine::Text, error::Place, finding::Code, layout::MailLayout, library::LAYOUT, syntax::Step, template::Template};

pub(super) fn check(template: &Template, all: &[Template], files: &Files<'_>, report: &mut Report) {
    if template.samples().is_empty() {
        let mend = "Write samples/NAME.json with data as it will come, so that everybody can see the message before it is sent";
        report.add(files.place("samples"), Code::MissingSample, "there is no sample", mend);
    }
    for locale in expected(template, all) {
        if !template.versions.contains_key(&locale) {
            let what = format!("the template is not written in {locale}");
            let mend = format!("Write {locale}/content.md, or name the languages that it has in template.toml: locales = […]");
            report.add(files.place(&format!("{locale}/content.md")), Code::MissingLocale, what, mend);
        }
    }
    for (locale, version) in &template.versions {
        if !version.words.has_summary() {
            let at = Place { line: 1, ..files.place(&format!("{locale}/content.md")) };
            let mend = "Write `summary`, one or two sentences: mail programs show them beside the subject, and they are the SMS";
            report.add(at, Code::NoPreheader, "there is no summary, so the mail has no preheader", mend);
        }
    }
    let own = template.versions.values().filter_map(|version| version.mail.as_ref());
    // The shared layout is told of where it is among the files.
    let layout = files.all.contains_key(LAYOUT).then_some(&*template.layout);
    for mail in own.chain(layout).map(MailLayout::source).filter(|mail| !shows_way_out(mail)) {
        let mend = "Write {{#if mail.unsubscribe}}<a href=\"{{mail.unsubscribe.url}}\">{{mail.unsubscribe.label}}</a>{{/if}} into it, \
                    unless nobody unsubscribes from its category";
        report.add(mail.place(), Code::NoWayOut, "the mail does not show how to get no more of them", mend);
    }
}

fn shows_way_out(mail: &Text) -> bool {
    let way_out = ["mail", "unsubscribe", "url"].map(|name| Step::Field(name.to_owned()));
    mail.uses().variables.iter().any(|of| of.path == way_out)
}

/// The languages that `template.toml` names; without them, those in which the other templates are written.
fn expected(template: &Template, all: &[Template]) -> BTreeSet<Locale> {
    match &template.expected_locales {
        Some(named) => named.iter().cloned().collect(),
        None => all.iter().filter(|t| t.expected_locales.is_none()).flat_map(Template::locales).cloned().collect(),
    }
}

//! Messages of shipped templates, for each channel, beside the libraries that do the work.
//!
//! `welcome` is short, `breaking-news` has pictures and several articles. All of them are measured by `make bench ARGS=templates`.

use std::hint::black_box;

use stentor_domain::Channel;
use stentor_templates::Library;

use crate::{
    beside::Bench,
    templates_floor::{Bare, input},
};

pub(crate) fn measure(bench: &mut Bench) {
    let library = Library::builtin().unwrap_or_else(|e| panic!("{e}"));
    let english = "en".parse().expect("a language");
    for key in ["welcome", "breaking-news"] {
        let template = library.find(key).expect("it ships");
        let bare = Bare::of(&template);
        let input = input(&template, &english);
        let beside = if bare.formats { "bare libraries, values ready-made" } else { "bare libraries" };
        for channel in [Channel::Inbox, Channel::Email, Channel::Sms] {
            let ours = || template.render(channel, black_box(&input)).expect("it is written");
            let work = bench.work(&format!("write {key} for {channel}"), ours).beside(beside, || bare.write(channel));
            if channel == Channel::Email {
                work.beside("Handlebars then mrml", || bare.mail_at_send());
            }
        }
    }
}

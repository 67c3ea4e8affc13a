//! What writing a message costs, beside the libraries that do the work, used bare.
//!
//! Each shipped template is written in English with its richest sample. *Bare* is what anybody would write with the same
//! libraries and no care: Handlebars for each text, comrak, ammonia and html2text for the body, Handlebars over the mail that mrml made
//! before. *At send* is the usual way with MJML: Handlebars first, mrml for every mail. Values that we write by ICU come to
//! the bare ones ready-made, so that what is compared is the engine; those templates are marked.

use std::{hint::black_box, time::Instant};

use stentor_domain::Channel;
use stentor_templates::{Library, Template};

use crate::{
    floors::templates::{Bare, input},
    measure::rounds,
    report::{Goal, Report},
};

/// For how long one measurement runs.
const MILLIS: u128 = 60;

pub(crate) fn run() -> Report {
    let library = Library::builtin().unwrap_or_else(|e| panic!("{e}"));
    let mut report = Report::default();
    for template in library.list() {
        let bare = Bare::of(template);
        for channel in [Channel::Inbox, Channel::Email, Channel::Sms] {
            let [ours, floor, at_send] = measure(template, &bare, channel, rounds().max(3));
            // Whose values are ready-made is told, not judged.
            let (mark, goal) = if bare.formats { (" *", Goal::None) } else { ("", Goal::AtMost(1.3)) };
            let work = format!("write `{}`{mark} for {channel}", template.key());
            report.ratio(work.clone(), ours, ("bare libraries", floor), "µs", goal);
            if channel == Channel::Email {
                report.ratio(work, ours, ("Handlebars, then mrml for each", at_send), "µs", goal);
            }
        }
    }
    report.note("* has money or dates, which the bare libraries are given ready-made: no goal.");
    report
}

fn measure(template: &Template, bare: &Bare, channel: Channel, rounds: usize) -> [f64; 3] {
    let english = "en".parse().expect("a language");
    let input = input(template, &english);
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds {
        times[0].push(micros(|| _ = black_box(template.render(channel, black_box(&input)).expect("it is written"))));
        times[1].push(micros(|| bare.write(channel)));
        times[2].push(if channel == Channel::Email { micros(|| bare.mail_at_send()) } else { 1.0 });
    }
    times.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    })
}

fn micros(mut work: impl FnMut()) -> f64 {
    let begun = Instant::now();
    let mut times = 0_u32;
    while begun.elapsed().as_millis() < MILLIS {
        for _ in 0..8 {
            work();
        }
        times += 8;
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}

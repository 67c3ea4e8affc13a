fn main() {
    use stentor_templates::*;
    let lib = match Library::builtin() { Ok(l) => l, Err(e) => { println!("{e}"); return } };
    for t in lib.list() { for (name, data) in t.samples() { for l in t.locales() {
        let input = Input { data, locale: Some(l), timezone: Some("Asia/Shanghai"), recipient: None, app_name: "Example Bank", now: stentor_domain::Timestamp::UNIX_EPOCH };
        println!("=== {} {name} {l}", t.key());
        match t.render_inbox(&input) { Ok(r) => println!("{}\n{:?}\n{:?} {:?} {:?}\n{}\n--\n{}", r.title, r.summary, r.image, r.link, r.actions, r.content.body_html, r.content.body_text), Err(e) => println!("{e}") }
        match t.render_sms(&input) { Ok(r) => println!("SMS {} {}", r.segments, r.text), Err(e) => println!("{e}") }
        match t.render_email(&input) { Ok(r) => { std::fs::write(format!("/tmp/mail-{}-{name}-{l}.html", t.key()), &r.html).unwrap(); println!("MAIL {} {}\n{}", r.html.len(), r.subject, r.text) }, Err(e) => println!("{e}") }
    }}}
}

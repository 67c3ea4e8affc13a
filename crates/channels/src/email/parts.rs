//! The body of a mail: text and HTML as alternatives, pictures beside the HTML that shows them, files beside both.

use lettre::message::{
    Attachment as Part, Body, MultiPart, SinglePart,
    header::{ContentTransferEncoding, ContentType},
};
use stentor_domain::text::check_line;

use crate::{EmailMessage, MailFile, message::Failure};

/// The longest name of a file, in bytes.
const MAX_NAME: usize = 255;

/// The body, and its type.
pub(super) fn body(mail: &EmailMessage) -> Result<(ContentType, Body), Failure> {
    let text = SinglePart::plain(whole_lines(&mail.text));
    let (pictures, files): (Vec<&MailFile>, Vec<&MailFile>) = mail.files.iter().partition(|file| file.content_id.is_some());
    let alternative = match &mail.html {
        Some(html) => {
            let html = SinglePart::html(whole_lines(html));
            let alternative = MultiPart::alternative().singlepart(text);
            if pictures.is_empty() {
                alternative.singlepart(html)
            } else {
                let mut related = MultiPart::related().singlepart(html);
                for picture in pictures {
                    related = related.singlepart(part(picture)?);
                }
                alternative.multipart(related)
            }
        }
        None if files.is_empty() => return Ok((ContentType::TEXT_PLAIN, Body::new(whole_lines(&mail.text)))),
        None => MultiPart::alternative().singlepart(text),
    };
    if files.is_empty() {
        return flatten(&alternative);
    }
    let mut mixed = MultiPart::mixed().multipart(alternative);
    for file in files {
        mixed = mixed.singlepart(part(file)?);
    }
    flatten(&mixed)
}

fn part(file: &MailFile) -> Result<SinglePart, Failure> {
    check_line(&file.name, MAX_NAME).map_err(|problem| Failure::permanent(format!("the name of an attachment {problem}")))?;
    let kind = ContentType::parse(&file.content_type)
        .map_err(|_| Failure::permanent("the type of an attachment is no media type, such as application/pdf"))?;
    let plain = |id: &String| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._@".contains(&b));
    let part = match &file.content_id {
        Some(id) if plain(id) => Part::new_inline_with_name(id.clone(), file.name.clone()),
        Some(_) => return Err(Failure::permanent("the content id of a picture must be letters, digits, `-`, `.`, `_` or `@`")),
        None => Part::new(file.name.clone()),
    };
    // Always base64: any other encoding may change the ends of lines.
    let body = Body::new_with_encoding(file.content.to_vec(), ContentTransferEncoding::Base64)
        .map_err(|_| Failure::permanent("an attachment cannot be encoded"))?;
    Ok(part.body(body, kind))
}

/// The same text with one kind of line break: a bare CR is none in a mail (RFC 5322 section 2.3).
fn whole_lines(text: &str) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() }
}

/// The parts as one body, and its type. lettre would keep the type apart from the mail's own headers, where its
/// signature does not see it; the parts are encoded already, so the whole is 7bit.
fn flatten(parts: &MultiPart) -> Result<(ContentType, Body), Failure> {
    const END_OF_HEADERS: &[u8] = b"\r\n\r\n";
    let unbuilt = || Failure::permanent("the mail cannot be built");
    let bytes = parts.formatted();
    let end = bytes.windows(END_OF_HEADERS.len()).position(|window| window == END_OF_HEADERS).ok_or_else(unbuilt)?;
    let body = bytes[end + END_OF_HEADERS.len()..].to_vec();
    let kind = parts.headers().get::<ContentType>().ok_or_else(unbuilt)?;
    Ok((kind, Body::dangerous_pre_encoded(body, ContentTransferEncoding::SevenBit)))
}

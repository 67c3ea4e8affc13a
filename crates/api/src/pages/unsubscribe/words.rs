//! What the page says, in each language that it speaks.

/// The words of one language. `{app}`, `{category}` and `{address}` are filled in.
pub(super) struct Words {
    pub lang: &'static str,
    pub dir: &'static str,
    pub ask: &'static str,
    pub ask_category: &'static str,
    pub address: &'static str,
    pub stop_category: &'static str,
    pub stop_all: &'static str,
    pub done: &'static str,
    pub done_category: &'static str,
    pub done_all: &'static str,
    pub undo: &'static str,
    pub undone: &'static str,
    pub undone_more: &'static str,
    pub broken: &'static str,
    pub broken_more: &'static str,
    pub later: &'static str,
    pub later_more: &'static str,
    pub again: &'static str,
}

const ENGLISH: Words = Words {
    lang: "en",
    dir: "ltr",
    ask: "No more mails from {app}?",
    ask_category: "No more mails about “{category}” from {app}?",
    address: "They go to {address}.",
    stop_category: "Stop mails about “{category}”",
    stop_all: "Stop all mails from {app}",
    done: "You are unsubscribed",
    done_category: "{address} gets no more mails about “{category}” from {app}.",
    done_all: "{address} gets no more mails from {app}.",
    undo: "That was a mistake: send them again",
    undone: "You are subscribed again",
    undone_more: "{address} gets these mails again.",
    broken: "This link does not work",
    broken_more: "A part of it is missing. Please open it from the mail itself, or answer the mail.",
    later: "That did not work",
    later_more: "Nothing was changed. Please try again in a minute.",
    again: "Try again",
};

const GERMAN: Words = Words {
    lang: "de",
    dir: "ltr",
    ask: "Keine E-Mails mehr von {app}?",
    ask_category: "Keine E-Mails mehr zu „{category}“ von {app}?",
    address: "Sie gehen an {address}.",
    stop_category: "E-Mails zu „{category}“ abbestellen",
    stop_all: "Alle E-Mails von {app} abbestellen",
    done: "Sie sind abgemeldet",
    done_category: "{address} bekommt keine E-Mails zu „{category}“ mehr von {app}.",
    done_all: "{address} bekommt keine E-Mails mehr von {app}.",
    undo: "Das war ein Versehen: wieder senden",
    undone: "Sie sind wieder angemeldet",
    undone_more: "{address} bekommt diese E-Mails wieder.",
    broken: "Dieser Link funktioniert nicht",
    broken_more: "Ein Teil davon fehlt. Bitte öffnen Sie ihn aus der E-Mail selbst, oder antworten Sie auf die E-Mail.",
    later: "Das hat nicht geklappt",
    later_more: "Es wurde nichts geändert. Bitte versuchen Sie es in einer Minute noch einmal.",
    again: "Noch einmal versuchen",
};

const FRENCH: Words = Words {
    lang: "fr",
    dir: "ltr",
    ask: "Ne plus recevoir d’e-mails de {app} ?",
    ask_category: "Ne plus recevoir d’e-mails de {app} au sujet de « {category} » ?",
    address: "Ils sont envoyés à {address}.",
    stop_category: "Ne plus recevoir « {category} »",
    stop_all: "Ne plus rien recevoir de {app}",
    done: "Vous êtes désabonné",
    done_category: "{address} ne recevra plus d’e-mails de {app} au sujet de « {category} ».",
    done_all: "{address} ne recevra plus d’e-mails de {app}.",
    undo: "C’était une erreur : les envoyer à nouveau",
    undone: "Vous êtes abonné à nouveau",
    undone_more: "{address} recevra à nouveau ces e-mails.",
    broken: "Ce lien ne fonctionne pas",
    broken_more: "Il en manque une partie. Ouvrez-le depuis l’e-mail lui-même, ou répondez à l’e-mail.",
    later: "Cela n’a pas fonctionné",
    later_more: "Rien n’a été modifié. Veuillez réessayer dans une minute.",
    again: "Réessayer",
};

const SPANISH: Words = Words {
    lang: "es",
    dir: "ltr",
    ask: "¿No recibir más correos de {app}?",
    ask_category: "¿No recibir más correos de {app} sobre «{category}»?",
    address: "Se envían a {address}.",
    stop_category: "No recibir más correos sobre «{category}»",
    stop_all: "No recibir más correos de {app}",
    done: "Ha cancelado la suscripción",
    done_category: "{address} no recibirá más correos de {app} sobre «{category}».",
    done_all: "{address} no recibirá más correos de {app}.",
    undo: "Fue un error: volver a enviarlos",
    undone: "Vuelve a estar suscrito",
    undone_more: "{address} recibirá estos correos de nuevo.",
    broken: "Este enlace no funciona",
    broken_more: "Le falta una parte. Ábralo desde el propio correo o responda al correo.",
    later: "No ha funcionado",
    later_more: "No se ha cambiado nada. Inténtelo de nuevo dentro de un minuto.",
    again: "Intentar de nuevo",
};

const CHINESE: Words = Words {
    lang: "zh-CN",
    dir: "ltr",
    ask: "不再接收 {app} 的邮件？",
    ask_category: "不再接收 {app} 的“{category}”类邮件？",
    address: "收件地址：{address}",
    stop_category: "退订“{category}”类邮件",
    stop_all: "退订 {app} 的所有邮件",
    done: "退订成功",
    done_category: "{address} 将不再收到 {app} 的“{category}”类邮件。",
    done_all: "{address} 将不再收到 {app} 的邮件。",
    undo: "点错了，恢复接收",
    undone: "已恢复接收",
    undone_more: "{address} 将重新收到这些邮件。",
    broken: "此链接无效",
    broken_more: "链接不完整。请直接从邮件中打开，或回复该邮件。",
    later: "操作未成功",
    later_more: "未做任何更改，请稍后再试。",
    again: "重试",
};

const ARABIC: Words = Words {
    lang: "ar",
    dir: "rtl",
    ask: "هل تريد إيقاف الرسائل من {app}؟",
    ask_category: "هل تريد إيقاف رسائل «{category}» من {app}؟",
    address: "تُرسل إلى {address}.",
    stop_category: "إيقاف رسائل «{category}»",
    stop_all: "إيقاف كل الرسائل من {app}",
    done: "تم إلغاء اشتراكك",
    done_category: "لن تصل إلى {address} رسائل «{category}» من {app} بعد الآن.",
    done_all: "لن تصل إلى {address} رسائل من {app} بعد الآن.",
    undo: "كان ذلك خطأ: أعد الإرسال",
    undone: "تمت إعادة اشتراكك",
    undone_more: "ستصل هذه الرسائل إلى {address} مجددًا.",
    broken: "هذا الرابط لا يعمل",
    broken_more: "جزء منه مفقود. يُرجى فتحه من الرسالة نفسها أو الرد عليها.",
    later: "لم تنجح العملية",
    later_more: "لم يتغير شيء. يُرجى المحاولة مجددًا بعد دقيقة.",
    again: "حاول مجددًا",
};

const ALL: [&Words; 6] = [&ENGLISH, &GERMAN, &FRENCH, &SPANISH, &CHINESE, &ARABIC];

/// The words for the first of `wanted` (language tags, in order) that the page speaks; English else.
pub(super) fn of<'a>(wanted: impl IntoIterator<Item = &'a str>) -> &'static Words {
    fn primary(tag: &str) -> &str {
        tag.split(['-', '_']).next().unwrap_or_default()
    }
    let mut wanted = wanted.into_iter();
    wanted
        .find_map(|tag| ALL.into_iter().find(|words| primary(words.lang).eq_ignore_ascii_case(primary(tag))))
        .unwrap_or(&ENGLISH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_persons_language_is_spoken_or_english() {
        for (wanted, lang) in [
            (&["de-AT"][..], "de"),
            (&["zh-TW"], "zh-CN"),
            (&["AR"], "ar"),
            (&["tlh", "fr"], "fr"),
            (&["tlh"], "en"),
            (&[], "en"),
        ] {
            assert_eq!(of(wanted.iter().copied()).lang, lang);
        }
    }

    #[test]
    fn every_language_says_whom_and_what_it_is_about() {
        for words in ALL {
            for text in [words.ask_category, words.done_category] {
                assert!(text.contains("{category}") && text.contains("{app}"), "{text}");
            }
            for text in [words.address, words.done_category, words.done_all, words.undone_more] {
                assert!(text.contains("{address}"), "{text}");
            }
            assert!(words.stop_category.contains("{category}") && words.stop_all.contains("{app}"), "{}", words.lang);
        }
    }
}

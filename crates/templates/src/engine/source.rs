//! Where the words of a text stand: a stretch of a file, and the partials that were put into it.
//!
//! Partials are put in as text when a template is loaded, so that a rendering knows none of them: nothing can
//! lead back to itself while it runs, and every limit holds for the whole.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use stentor_domain::Locale;

use crate::{
    error::{LoadError, Place},
    finding::Code,
    limits,
    syntax::{PartialTag, read_tags},
};

/// A stretch of a file.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    pub file: &'a Arc<str>,
    /// The line of the file, from 1, on which `text` begins.
    pub first_line: usize,
    /// The characters before it on that line.
    pub indent: usize,
    pub text: &'a str,
}

impl Source<'_> {
    /// The place of a line and column of the text, both from 1.
    pub(crate) fn place(&self, line: usize, column: usize) -> Place {
        let indent = if line <= 1 { self.indent } else { 0 };
        Place { file: self.file.clone(), line: self.first_line + line.saturating_sub(1), column: column + indent }
    }
}

/// The files below `_partials/`, for a text in one language.
#[derive(Debug, Default)]
pub(crate) struct Partials<'a> {
    files: BTreeMap<&'a str, &'a str>,
    /// Those that were put in, by their paths.
    used: RefCell<BTreeSet<String>>,
    /// The bytes that were put in, however often.
    bytes: Cell<usize>,
}

/// The folder of partials.
pub(crate) const PARTIALS: &str = "_partials/";

impl<'a> Partials<'a> {
    /// Those among `files`, all of which have their path below `templates/`.
    pub(crate) fn among(files: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            files: files.filter(|(path, _)| path.starts_with(PARTIALS)).collect(),
            used: RefCell::default(),
            bytes: Cell::default(),
        }
    }

    /// The file of the partial `name` for a text of the kind `extension`: in the language, or without one.
    fn find(&self, name: &str, extension: &str, locale: Option<&Locale>) -> Option<(&'a str, &'a str)> {
        let tags = locale.into_iter().flat_map(Locale::with_fallbacks).map(|tag| format!("{PARTIALS}{tag}/{name}.{extension}"));
        let mut paths = tags.chain([format!("{PARTIALS}{name}.{extension}")]);
        let (path, text) = paths.find_map(|path| self.files.get_key_value(path.as_str()))?;
        self.used.borrow_mut().insert((*path).to_owned());
        Some((*path, *text))
    }

    /// What was put in since the last call, with its text. What may be put in is counted from here anew.
    pub(crate) fn take_used(&self) -> Vec<(&'a str, &'a str)> {
        self.bytes.set(0);
        let known = |path: String| self.files.get_key_value(path.as_str()).map(|(path, text)| (*path, *text));
        self.used.take().into_iter().filter_map(known).collect()
    }
}

/// What a text may consist of beside plain tags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub partials: &'a Partials<'a>,
    pub locale: Option<&'a Locale>,
    /// Variables that may stand in three braces.
    pub raw: &'a [String],
}

impl Rules<'_> {
    /// The same without raw output.
    pub(crate) fn escaped(self) -> Self {
        Rules { raw: &[], ..self }
    }
}

/// A text with its partials in it.
pub(crate) struct Expanded {
    pub text: String,
    pub map: SourceMap,
}

impl Expanded {
    /// Puts the partials in, adding what is wrong to `errors`.
    pub(crate) fn of(source: &Source<'_>, rules: Rules<'_>, errors: &mut Vec<LoadError>) -> Option<Self> {
        let mut work = Expansion { rules, text: String::new(), pieces: Vec::new(), place: (1, 1), open: Vec::new(), errors };
        let extension = Path::new(&**source.file).extension().and_then(|e| e.to_str()).unwrap_or_default();
        let whole = work.put(source, extension);
        whole.then_some(Self { text: work.text, map: SourceMap(work.pieces) })
    }

    /// The place of a byte of the text.
    pub(crate) fn place_of_byte(&self, at: usize) -> Place {
        let place = Place::of_byte(&self.map.file(), &self.text, at);
        self.map.place(place.line, place.column)
    }
}

/// Where each part of a text stands in the files.
#[derive(Clone, Debug)]
pub(crate) struct SourceMap(Vec<Piece>);

/// A part of a text that stands together in a file; it reaches to the next one.
#[derive(Clone, Debug)]
struct Piece {
    /// Where it begins in the text.
    from: (usize, usize),
    /// Where it begins in the file.
    at: Place,
}

impl SourceMap {
    /// The file that is read.
    pub(crate) fn file(&self) -> Arc<str> {
        self.0.first().map_or_else(|| "".into(), |piece| piece.at.file.clone())
    }

    /// Where the text begins.
    pub(crate) fn start(&self) -> Place {
        let first = self.0.first().map(|piece| Place { column: 0, ..piece.at.clone() });
        first.unwrap_or_else(|| Place::file(""))
    }

    /// The place of a line and column of the text, both from 1.
    pub(crate) fn place(&self, line: usize, column: usize) -> Place {
        let Some(piece) = self.0.iter().rev().find(|piece| piece.from <= (line, column)).or(self.0.first()) else {
            return Place::file("");
        };
        let (down, mut at) = (line.saturating_sub(piece.from.0), piece.at.clone());
        at.line += down;
        at.column = if down == 0 { at.column + column.saturating_sub(piece.from.1) } else { column };
        at
    }
}

struct Expansion<'a, 'e> {
    rules: Rules<'a>,
    text: String,
    pieces: Vec<Piece>,
    /// Line and column at the end of the text.
    place: (usize, usize),
    /// The partials that are being put in, one within the other.
    open: Vec<String>,
    errors: &'e mut Vec<LoadError>,
}

impl Expansion<'_, '_> {
    /// Adds `source` and what it refers to; false if anything is wrong. The depth is [`limits::PARTIAL_DEPTH`].
    fn put(&mut self, source: &Source<'_>, extension: &str) -> bool {
        let place_of = |byte| {
            let place = Place::of_byte(source.file, source.text, byte);
            source.place(place.line, place.column)
        };
        let tags = read_tags(source.text, limits::FILE_BYTES);
        let mut good = tags.faults.is_empty();
        for fault in tags.faults {
            self.errors.push(LoadError::new(place_of(fault.at), fault.code, fault.what, fault.mend));
        }
        if !good {
            return false;
        }
        let mut from = 0;
        for PartialTag { at, end, name } in tags.partials {
            self.add(&source.text[from..at], place_of(from));
            good &= self.partial(name, extension, &place_of(at));
            from = end;
        }
        self.add(&source.text[from..], place_of(from));
        good
    }

    fn partial(&mut self, name: &str, extension: &str, at: &Place) -> bool {
        let mut fault = |code, what: String, mend: String| {
            self.errors.push(LoadError::new(at.clone(), code, what, mend));
            false
        };
        let Some((path, text)) = self.rules.partials.find(name, extension, self.rules.locale) else {
            let mend = format!("Write _partials/{name}.{extension}, or _partials/LOCALE/{name}.{extension} for each language");
            return fault(Code::UnknownPartial, format!("there is no partial `{name}` for a .{extension} file"), mend);
        };
        if self.open.iter().any(|open| open == name) {
            let way = self.open.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(" > ");
            return fault(
                Code::PartialCycle,
                format!("the partial leads back to itself: {way}"),
                "Take it out of one of them".to_owned(),
            );
        }
        if self.open.len() >= limits::PARTIAL_DEPTH {
            let what = format!("more than {} partials inside one another", limits::PARTIAL_DEPTH);
            return fault(Code::TooComplex, what, "Write the text out".to_owned());
        }
        if self.text.len() + text.len() > limits::FILE_BYTES {
            let what = format!("the text is longer than {} bytes with its partials", limits::FILE_BYTES);
            return fault(Code::TooComplex, what, "Use fewer or shorter partials".to_owned());
        }
        // A few bytes can name a partial of 64 KiB in each of hundreds of texts.
        let bytes = &self.rules.partials.bytes;
        bytes.set(bytes.get() + text.len());
        if bytes.get() > limits::PARTIALS_BYTES {
            let what = format!("more than {} bytes of partials in all texts of the template together", limits::PARTIALS_BYTES);
            return fault(Code::TooComplex, what, "Use fewer or shorter partials".to_owned());
        }
        self.open.push(name.to_owned());
        let file: Arc<str> = path.into();
        let good = self.put(&Source { file: &file, first_line: 1, indent: 0, text: text.trim_end_matches('\n') }, extension);
        self.open.pop();
        good
    }

    fn add(&mut self, text: &str, at: Place) {
        if !text.is_empty() || self.pieces.is_empty() {
            self.pieces.push(Piece { from: self.place, at });
        }
        self.text.push_str(text);
        let lines = text.matches('\n').count();
        let last = text.rsplit('\n').next().unwrap_or_default().chars().count();
        self.place = if lines == 0 { (self.place.0, self.place.1 + last) } else { (self.place.0 + lines, 1 + last) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(files: &[(&str, &str)], text: &str) -> Result<(String, Vec<Place>), Vec<String>> {
        let partials = Partials::among(files.iter().copied());
        let (file, mut errors) = ("t/en/content.md".into(), Vec::new());
        let locale = "de-AT".parse().unwrap();
        let rules = Rules { partials: &partials, locale: Some(&locale), raw: &[] };
        let source = Source { file: &file, first_line: 5, indent: 0, text };
        match Expanded::of(&source, rules, &mut errors) {
            Some(e) => {
                let marks = e.text.match_indices('!').map(|(at, _)| e.place_of_byte(at)).collect();
                Ok((e.text, marks))
            }
            None => Err(errors.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn a_partial_of_the_language_is_put_in_and_knows_where_it_stands() {
        let files =
            [("_partials/de/sign.md", "Ihr Team\n{{x}} !\n"), ("_partials/sign.md", "Your team"), ("_partials/sign.txt", "-")];
        let (text, marks) = expand(&files, "a !\n  {{> sign}} ! b\n!").unwrap();
        assert_eq!(text, "a !\n  Ihr Team\n{{x}} ! ! b\n!");
        let places: Vec<String> = marks.iter().map(ToString::to_string).collect();
        assert_eq!(places, ["t/en/content.md:5:3", "_partials/de/sign.md:2:7", "t/en/content.md:6:14", "t/en/content.md:7:1"]);
    }

    #[test]
    fn what_leads_back_to_itself_is_refused_with_its_way() {
        let mutual = [("_partials/a.md", "{{> b}}"), ("_partials/b.md", "x {{> a}}")];
        let told = expand(&mutual, "{{> a}}").unwrap_err();
        assert!(told[0].starts_with("_partials/b.md:1:3: the partial leads back to itself: a > b > a"), "{told:?}");
        assert!(expand(&[("_partials/a.md", "{{> a}}")], "{{> a}}").unwrap_err()[0].contains("a > a"));
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let names: Vec<(String, String)> =
            (0..20).map(|i| (format!("_partials/p{i}.md"), format!("{{{{> p{}}}}}", i + 1))).collect();
        let deep: Vec<(&str, &str)> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert!(expand(&deep, "{{> p0}}").unwrap_err()[0].contains("more than 8 partials inside one another"));
        let bomb: Vec<(String, String)> =
            (0..7).map(|i| (format!("_partials/p{i}.md"), format!("{{{{> p{}}}}}", i + 1).repeat(200))).collect();
        let mut bomb: Vec<(&str, &str)> = bomb.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        bomb.push(("_partials/p7.md", "some words"));
        assert!(expand(&bomb, "{{> p0}}").unwrap_err()[0].contains("longer than 65536 bytes"));
        assert!(expand(&[], "{{> absent}}").unwrap_err()[0].contains("there is no partial `absent`"));
    }
}

//! What a template and its data may cost. No template and no data may stop a process or hold a worker.
//!
//! The first three keep the recursion of the parsers (pest, mrml, comrak, html5ever) far from the end of a
//! 2 MiB stack; the others bound time and memory. All but one are counts: what is refused once is
//! refused always, on any machine. The last resort is the work that a rendering takes, in CPU time of its thread: a busy
//! machine makes nothing fail.

/// Bytes of a file.
pub(crate) const FILE_BYTES: usize = 64 * 1024;
/// Blocks (`{{#if}}`, `{{#each}}`, each `{{else if}}`) inside one another.
pub(crate) const BLOCK_DEPTH: usize = 32;
/// Brackets inside one another in one expression.
pub(crate) const BRACKET_DEPTH: usize = 8;
/// Expressions in a file.
pub(crate) const EXPRESSIONS: usize = 2_000;
/// Elements inside one another in MJML and in HTML that came with a request.
pub(crate) const ELEMENT_DEPTH: usize = 100;
/// Tags in HTML that came with a request.
pub(crate) const HTML_TAGS: usize = 10_000;
/// Open formatting elements (`<b>`, `<a>`, ...) in such HTML: each paragraph inside repeats those left open.
pub(crate) const OPEN_FORMATTING: usize = 32;
/// Ampersands and no-break spaces in an HTML text.
pub(crate) const ENTITIES: usize = 20_000;
/// Quotes, lists and emphasis inside one another in Markdown.
pub(crate) const MARKDOWN_DEPTH: usize = 32;
/// Cells of the tables of a Markdown text: short rows are filled up to the width of the first.
pub(crate) const TABLE_CELLS: usize = 50_000;
/// Braces inside one another in an ICU message.
pub(crate) const MESSAGE_DEPTH: usize = 16;
/// Partials inside one another.
pub(crate) const PARTIAL_DEPTH: usize = 8;
/// Bytes of partials in all texts of a template, counted as often as they are put in.
pub(crate) const PARTIALS_BYTES: usize = 1024 * 1024;
/// Mistakes that are told of one template.
pub(crate) const FINDINGS: usize = 500;
/// Rounds of all loops of one rendering together.
pub(crate) const LOOP_STEPS: usize = 10_000;
/// Parts of a template that its loops may visit: the bodies of all rounds together.
pub(crate) const LOOP_PARTS: usize = 200_000;
/// Milliseconds of work (of this thread's CPU time) that one rendering may take; code that is not optimised takes about
/// ten times as long.
pub(crate) const RENDER_MS: u64 = if cfg!(debug_assertions) { 2_500 } else { 250 };
/// Linked articles of a message.
pub(crate) const ARTICLES: usize = 10;
/// Bytes of any rendered text, HTML or mail.
pub(crate) const OUTPUT_BYTES: usize = 512 * 1024;
/// Bytes of a title or subject; a longer one is cut with an ellipsis.
pub(crate) const TITLE_BYTES: usize = 200;
/// Bytes of a summary; a longer one is cut with an ellipsis.
pub(crate) const SUMMARY_BYTES: usize = 500;
/// Bytes of a button's label; a longer one is cut with an ellipsis.
pub(crate) const LABEL_BYTES: usize = 60;
/// Buttons of a message.
pub(crate) const ACTIONS: usize = 5;
/// Segments of an SMS: each is paid for.
pub(crate) const SMS_SEGMENTS: u32 = 10;

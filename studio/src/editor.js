// The editor: CodeMirror, in the language of each file, with the template's tags marked and its variables offered.
import { EditorState, Compartment } from '@codemirror/state';
import {
  EditorView, keymap, lineNumbers, highlightActiveLine, highlightActiveLineGutter, drawSelection, MatchDecorator, ViewPlugin, Decoration,
  highlightSpecialChars,
} from '@codemirror/view';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { syntaxHighlighting, HighlightStyle, StreamLanguage, bracketMatching, indentOnInput } from '@codemirror/language';
import { tags } from '@lezer/highlight';
import { autocompletion, completionKeymap, insertCompletionText, startCompletion } from '@codemirror/autocomplete';
import { searchKeymap, highlightSelectionMatches } from '@codemirror/search';
import { lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { markdown } from '@codemirror/lang-markdown';
import { json } from '@codemirror/lang-json';
import { xml } from '@codemirror/lang-xml';
import { toml } from '@codemirror/legacy-modes/mode/toml';

const look = EditorView.theme({
  '&': { height: '100%', fontSize: '13px', backgroundColor: 'var(--card)', color: 'var(--ink)' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
  '.cm-scroller': { fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace', lineHeight: '20px' },
  '.cm-content': { padding: '8px 0', caretColor: 'var(--ink)' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)' },
  '.cm-gutters': { backgroundColor: 'var(--card)', color: 'var(--soft)', borderRight: '1px solid var(--line)' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'color-mix(in srgb, var(--tint) 48%, transparent)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'color-mix(in srgb, var(--accent) 28%, transparent)' },
  '.cm-tag': { color: 'var(--accent)', backgroundColor: 'var(--tint)', borderRadius: '3px' },
  '.cm-tooltip': { backgroundColor: 'var(--card)', color: 'var(--ink)', border: '1px solid var(--line)', borderRadius: '8px', overflow: 'hidden' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--accent-ink)' },
  '.cm-diagnostic': { padding: '6px 12px', maxWidth: '48ch' },
  '.cm-panels': { backgroundColor: 'var(--ground)', color: 'var(--ink)' },
});

const colours = HighlightStyle.define([
  { tag: [tags.heading, tags.strong], fontWeight: '650' },
  { tag: tags.emphasis, fontStyle: 'italic' },
  { tag: [tags.link, tags.url], color: 'var(--accent)' },
  { tag: [tags.string, tags.special(tags.string), tags.attributeValue], color: 'var(--good)' },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--warn)' },
  { tag: [tags.propertyName, tags.tagName, tags.keyword, tags.definition(tags.propertyName)], color: 'var(--accent)' },
  { tag: [tags.comment, tags.meta, tags.processingInstruction, tags.quote, tags.attributeName], color: 'var(--soft)' },
]);

// `{{…}}` in any language.
const marker = new MatchDecorator({ regexp: /\{\{\{?[^{}]*\}?\}\}/g, decoration: Decoration.mark({ class: 'cm-tag' }) });
const marked = ViewPlugin.fromClass(class {
  constructor(view) { this.decorations = marker.createDeco(view); }
  update(update) { this.decorations = marker.updateDeco(update, this.decorations); }
}, { decorations: (plugin) => plugin.decorations });

function language(path) {
  if (path.endsWith('.md')) return markdown();
  if (path.endsWith('.json')) return json();
  if (path.endsWith('.mjml')) return xml();
  if (path.endsWith('.toml')) return StreamLanguage.define(toml);
  return [];
}

// Puts a choice in, with what follows it unless it is there; where a value must follow, that is offered next.
function choose(view, { label, after }, from, to) {
  const there = view.state.sliceDoc(to, to + after.length) === after;
  view.dispatch(insertCompletionText(view.state, there ? label : label + after, from, to));
  if (after === ' ') startCompletion(view);
}

export class Editor {
  // `changed(path, text)` is called for each change; `offers(before)` gives what may follow the beginning of a tag.
  constructor(parent, { changed, offers }) {
    this.states = new Map();
    this.path = null;
    this.offered = autocompletion({ override: [(context) => {
      const before = context.matchBefore(/\{\{[#/]?[\w. ]*$/);
      if (!before) return null;
      const word = context.matchBefore(/[\w.]*$/);
      const options = offers(before.text).map((option) => ({ ...option, apply: choose }));
      return { from: word ? word.from : context.pos, options, validFor: /^[\w.]*$/ };
    }] });
    this.label = new Compartment();
    this.view = new EditorView({ parent, dispatch: (transaction, view) => {
      view.update([transaction]);
      if (transaction.docChanged && !this.opening) changed(this.path, view.state.doc.toString());
    } });
    // Tab leaves the editor, until Ctrl+M says otherwise: who has no mouse must come out again.
    this.view.setTabFocusMode(true);
  }

  state(path, text) {
    return EditorState.create({ doc: text, extensions: [
      lineNumbers(), lintGutter(), highlightSpecialChars(), history(), drawSelection(), indentOnInput(), bracketMatching(),
      highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(), EditorView.lineWrapping,
      syntaxHighlighting(colours), marked, look, this.offered, language(path),
      keymap.of([...completionKeymap, indentWithTab, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...lintKeymap]),
      EditorView.contentAttributes.of({ tabindex: '0', 'aria-label': `Text of ${path}`, spellcheck: path.endsWith('.md') ? 'true' : 'false' }),
    ] });
  }

  open(path, text) {
    if (this.path !== null) this.states.set(this.path, this.view.state);
    this.path = path;
    const kept = this.states.get(path);
    this.opening = true;
    this.view.setState(kept && kept.doc.toString() === text ? kept : this.state(path, text));
    this.opening = false;
  }

  forget() {
    this.states.clear();
    this.path = null;
  }

  // Shows findings of the open file where they stand.
  mark(findings) {
    const document = this.view.state.doc;
    const diagnostics = findings.map((finding) => {
      const line = document.line(Math.min(Math.max(finding.line, 1), document.lines));
      const characters = [...line.text].slice(0, Math.max(finding.column - 1, 0)).join('').length;
      const from = Math.min(line.from + characters, line.to);
      const word = /^(\{\{[^}]*\}\}|[\w.-]+|.)/u.exec(document.sliceString(from, line.to));
      const to = finding.column > 0 && word ? from + word[0].length : line.to;
      return { from, to, severity: finding.severity, message: `${finding.message}. ${finding.advice}.` };
    });
    this.view.dispatch(setDiagnostics(this.view.state, diagnostics.sort((a, b) => a.from - b.from)));
  }

  go(line, column) {
    const document = this.view.state.doc;
    const at = document.line(Math.min(Math.max(line, 1), document.lines));
    const place = Math.min(at.from + Math.max(column - 1, 0), at.to);
    this.view.dispatch({ selection: { anchor: place }, scrollIntoView: true });
    this.view.focus();
  }
}

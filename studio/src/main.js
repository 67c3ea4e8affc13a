// The studio: files on the left, what they look like on the right, what is wrong below.
import { Api } from './api.js';
import { compare } from './compare.js';
import { h, fill, dialog } from './dom.js';
import { Editor } from './editor.js';
import { languageOf } from './manifest.js';
import { draw, TABS } from './previews.js';
import { empty, form, offers } from './schema.js';
import { history, publish, test } from './versions.js';

const PAUSE = 300; // ms of silence before what is written is looked at

class Studio {
  constructor(place) {
    Object.assign(this, { key: place.dataset.key, app: place.dataset.app });
    this.api = new Api({ base: place.dataset.api, app: this.app, csrf: place.dataset.csrf });
    Object.assign(this, { files: {}, began: {}, saved: {}, shared: {}, path: null, sample: null, data: null, locale: null, following: null, seen: null, findings: [], tab: 'inbox' });
    this.draft = `stentor-studio:${this.app}:${this.key}`;
    this.build(place);
  }

  build(place) {
    const part = this.parts = {
      state: h('span', { class: 'state' }), sample: h('select', { id: 'sample' }), locale: h('select', { id: 'locale' }),
      list: h('nav', { class: 'files', 'aria-label': 'Files' }), name: h('h2', { class: 'mono' }), text: h('div', { class: 'text' }),
      problems: h('section', { class: 'problems', 'aria-label': 'Problems' }), data: h('div', {}), note: h('p', { class: 'soft', role: 'status' }),
      tabs: h('div', { class: 'tabs', role: 'tablist', 'aria-label': 'What it looks like' }),
      panel: h('div', { class: 'panel', role: 'tabpanel', id: 'seen', tabIndex: 0 }), remove: null,
      stale: h('p', { class: 'state warn stale', hidden: true }, 'From before the mistakes'),
    };
    part.remove = h('button', { type: 'button', class: 'quiet', onclick: () => this.remove() }, 'Delete file');
    part.publish = h('button', { type: 'button', class: 'main', title: 'Ctrl+S', onclick: () => publish(this) }, 'Publish…');
    part.discard = h('button', { type: 'button', class: 'quiet', onclick: () => this.discard() }, 'Discard changes');
    // Shown once something was read: on what could not be read nothing is written.
    this.shown = () => part.panel.isConnected || fill(place,
      h('header', { class: 'bar' },
        h('div', { class: 'row' }, part.state, part.note), h('div', { class: 'row end' },
          part.discard, h('button', { type: 'button', onclick: () => history(this) }, 'Versions'),
          h('button', { type: 'button', onclick: () => test(this) }, 'Send me a test'), part.publish)),
      h('div', { class: 'work' },
        h('section', { class: 'write', 'aria-label': 'Files and text' },
          h('div', { class: 'aside' }, part.list, h('button', { type: 'button', onclick: () => this.add() }, 'New file')),
          h('div', { class: 'edit' }, h('header', {}, part.name, part.remove), part.text, part.problems)),
        h('section', { class: 'see', 'aria-label': 'What it looks like' },
          h('div', { class: 'pickers row' },
            h('label', { for: 'sample' }, 'Sample', part.sample), h('label', { for: 'locale' }, 'Language', part.locale)),
          h('div', { class: 'filling' }, h('details', { class: 'fill' }, h('summary', {}, 'Change the data'), part.data), part.stale),
          part.tabs, part.panel)));
    fill(place, h('p', { class: 'empty', role: 'status' }, 'Reading it…'));
    fill(part.tabs, TABS.map(([tab, label], i) => h('button', { type: 'button', role: 'tab', id: `tab-${tab}`, 'aria-controls': 'seen', title: `Alt+${i + 1}`, onclick: () => this.show(tab) }, label)));
    this.editor = new Editor(part.text, { changed: (path, text) => this.changed(path, text), offers: (before) => offers(this.schema() ?? {}, before) });
    part.sample.addEventListener('change', () => this.pick({ sample: part.sample.value, data: null }));
    part.locale.addEventListener('change', () => this.pick({ locale: part.locale.value || null, following: null }));
    part.tabs.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const names = TABS.map(([tab]) => tab);
      this.show(names[(names.indexOf(this.tab) + step + names.length) % names.length]);
      document.getElementById(`tab-${this.tab}`).focus();
    });
    document.addEventListener('keydown', (event) => {
      if (!part.panel.isConnected) return;
      if ((event.ctrlKey || event.metaKey) && event.key === 's') {
        event.preventDefault();
        if (!document.querySelector('dialog[open]')) publish(this);
      } else if (event.altKey && /^[1-7]$/.test(event.key)) {
        event.preventDefault();
        this.show(TABS[Number(event.key) - 1][0]);
      }
    });
    this.show('inbox');
  }

  // Reads what is live, or another version; `words` are said when it is there. What was written here and is not saved is kept,
  // whatever else was published meanwhile, unless there are words.
  async load(words, version) {
    const live = await this.read('');
    const kept = live || version ? null : await this.draftOnRecord();
    const read = version || kept ? await this.read(version ?? kept) : live ?? blank(this.key);
    if (!read) throw new Error(`There is no version ${version} of this template.`);
    this.begin(read, live);
    const draft = JSON.parse(sessionStorage.getItem(this.draft) ?? 'null');
    if (draft && !words) this.files = draft.files;
    else sessionStorage.removeItem(this.draft);
    this.editor.forget();
    this.shown();
    this.select(this.files[this.path] !== undefined ? this.path : this.first(read.template.default_locale));
    const elsewhere = draft && draft.on !== read.template.version && 'What is live is not what you began from. What you wrote is kept: look at what differs before you publish it.';
    this.say(words ?? (elsewhere || (kept ? `Version ${kept} is a draft: nothing is live yet.` : '')));
    if (draft && !words) this.keep();
    await this.look();
  }

  // A version, by its number, or what is live; null if there is none.
  read(version) {
    return this.api.call('GET', '', undefined, { query: version ? { version } : {} }).catch((problem) => {
      if (problem.status === 404) return null;
      throw problem;
    });
  }

  // The number of the newest draft of a template of which nothing was ever live.
  async draftOnRecord() {
    const { items } = await this.versions({ limit: 1 });
    return items.length > 0 ? String(items[0].number) : null;
  }

  // A page of the versions on record; none of a template that is new.
  versions(query) {
    return this.api.call('GET', '/versions', undefined, { query }).catch((problem) => {
      if (problem.status === 404) return { items: [], next: null };
      throw problem;
    });
  }

  // What is written from now on is held against `read`; whoever publishes over another `live` than this one is told.
  begin(read, live) {
    const { origin, version } = read.template;
    Object.assign(this, { saved: origin === 'new' ? {} : read.files, began: read.files, files: { ...read.files }, shared: read.shared_files, number: read.number, origin, version });
    this.base = live?.template.origin === 'own' ? live.template.version : 'shared';
    this.hasShared = live !== null && (live.template.origin === 'shared' || live.template.overrides);
  }

  // Somebody published meanwhile: what is written here stays, and is held against theirs.
  async rebase() {
    const [live, { files }] = [await this.read(''), this];
    if (live) this.begin(live, live);
    this.files = files;
    this.keep();
    this.list();
  }

  open(version) {
    return this.load(`Version ${version} is open; publish it to make it live.`, version).catch((problem) => this.say(problem.message));
  }

  first(locale) {
    const paths = Object.keys(this.files);
    return paths.find((path) => path === `${locale}/content.md`) ?? paths.find((path) => path.endsWith('content.md')) ?? paths[0];
  }

  all() {
    return { ...this.shared, ...this.files };
  }

  changes() {
    return compare(this.saved, this.files);
  }

  // The files that are not as they were when it was opened.
  touched() {
    return [...new Set([...Object.keys(this.began), ...Object.keys(this.files)])].filter((path) => this.began[path] !== this.files[path]);
  }

  // Does what would take away what is written here, after a question if there is something.
  parting(deed) {
    if (this.touched().length === 0) return deed();
    dialog('Discard changes?', [differencesOf(this)], [{ label: 'Discard', kind: 'danger', act: deed }]);
  }

  schema() {
    try {
      this.known = JSON.parse(this.files['schema.json']);
    } catch { /* while it is written, what it said last */ }
    return this.known;
  }

  filling() {
    return this.data ? { data: this.data } : this.sample && this.files[`samples/${this.sample}.json`] !== undefined ? { sample: this.sample } : {};
  }

  say(...words) {
    fill(this.parts.note, words);
  }

  select(path) {
    if (path !== this.path) this.following = languageOf(path) ?? this.following;
    this.path = path;
    this.editor.open(path, this.files[path]);
    this.parts.name.textContent = path;
    this.editor.mark(this.findings.filter((finding) => finding.file === path));
    this.list();
    this.follow();
  }

  // Whoever opens a file of a language sees that language, as soon as the template has it, until they pick another. Gives the look
  // that is taken for it, if one is.
  follow() {
    const locale = this.following;
    if (!this.seen?.locales.includes(locale)) return null;
    this.following = null;
    return locale === this.language() ? null : this.pick({ locale });
  }

  // The language of the preview, as it was picked last; none while there was nothing to see.
  language() {
    return this.seen?.locales.includes(this.locale) ? this.locale : this.seen?.locale;
  }

  changed(path, text) {
    this.files[path] = text;
    this.later();
  }

  keep() {
    sessionStorage.setItem(this.draft, JSON.stringify({ on: this.version, files: this.files }));
  }

  later() {
    this.keep();
    this.list();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), PAUSE);
  }

  pick(choice) {
    Object.assign(this, choice);
    return this.look();
  }

  // Asks the server what the files look like, as they are here. Only the last question's answer is shown.
  async look() {
    this.asking?.abort();
    const asking = this.asking = new AbortController();
    try {
      const seen = await this.api.call('POST', '/preview', { files: this.all(), locale: this.locale ?? undefined, ...this.filling() }, { signal: asking.signal });
      this.findings = seen.findings;
      if (seen.locale) {
        this.seen = seen;
        const other = this.follow();
        if (other) return await other;
        this.choices(seen);
      }
      // What cannot be written leaves what was seen last where it stands, as far as it was scrolled.
      if (seen.locale || !this.seen) this.show(this.tab);
      this.parts.stale.hidden = Boolean(seen.locale) || !this.seen;
    } catch (problem) {
      if (problem.name === 'AbortError') return;
      this.say(problem.message);
    }
    this.problems();
    this.list();
    document.documentElement.dataset.looked = String(Number(document.documentElement.dataset.looked ?? 0) + 1);
  }

  choices(seen) {
    const option = (chosen) => (name) => h('option', { value: name, selected: name === chosen }, name);
    const own = this.data ? [h('option', { value: '', selected: true }, 'own data')] : [];
    if (!this.data && !seen.samples.includes(this.sample)) this.sample = seen.samples[0] ?? null;
    fill(this.parts.sample, own, seen.samples.map(option(this.data ? '' : this.sample)));
    fill(this.parts.locale, seen.locales.map(option(seen.locale)));
    if (this.parts.data.contains(document.activeElement)) return; // who is typing there keeps the place
    fill(this.parts.data, form(this.schema() ?? {}, seen.data, (data) => {
      this.data = data;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.look(), PAUSE);
    }));
  }

  show(tab) {
    this.tab = tab;
    for (const button of this.parts.tabs.children) {
      const chosen = button.id === `tab-${tab}`;
      button.setAttribute('aria-selected', String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
    this.parts.panel.setAttribute('aria-labelledby', `tab-${tab}`);
    if (this.seen) draw(this.parts.panel, tab, this.seen, this.app);
    else fill(this.parts.panel, h('p', { class: 'empty' }, this.findings.length > 0 ? 'Nothing to see until the mistakes below the editor are mended.' : 'Writing it out…'));
  }

  list() {
    const of = (path) => this.findings.filter((finding) => finding.file === path);
    const count = (path) => of(path).length;
    const mark = (path) => (of(path).some((finding) => finding.severity === 'error') ? 'bad' : 'warn');
    const button = (path) => h('button', {
      type: 'button', class: 'file', 'aria-current': path === this.path ? 'true' : undefined, onclick: () => { this.select(path); },
    }, path, this.files[path] !== this.began[path] ? h('span', { class: 'dot', title: 'changed' }, '●') : null,
    count(path) > 0 ? h('span', { class: `state ${mark(path)}`, title: 'problems' }, String(count(path))) : null);
    const focused = this.parts.list.contains(document.activeElement) ? document.activeElement.firstChild?.textContent : null;
    const paths = Object.keys(this.files).sort((a, b) => a.includes('/') - b.includes('/') || a.localeCompare(b));
    fill(this.parts.list, paths.map(button));
    if (focused) [...this.parts.list.children].find((child) => child.firstChild.textContent === focused)?.focus();
    const dirty = this.touched().length > 0;
    const state = this.parts.state;
    state.className = `state ${dirty ? 'warn' : 'good'}`;
    const what = this.origin === 'new' ? 'nothing: it is new' : this.origin === 'shared' ? 'shared template' : `version ${this.number}`;
    if (this.origin === 'new') state.className = 'state warn';
    state.textContent = this.origin === 'new' ? 'new, not published' : dirty ? `changed, from ${what}` : this.version === this.base || this.origin === 'shared' ? `live: ${what}` : what;
    this.parts.discard.hidden = !dirty;
    this.parts.remove.hidden = paths.length < 2;
  }

  problems() {
    const row = (finding) => h('li', {}, h('button', { type: 'button', class: `problem ${finding.severity}`, onclick: () => this.go(finding) },
      h('span', { class: `state ${finding.severity === 'error' ? 'bad' : 'warn'}` }, finding.severity === 'error' ? 'mistake' : 'look'),
      h('span', { class: 'mono soft' }, finding.line > 0 ? `${finding.file}:${finding.line}` : finding.file),
      h('span', { class: 'what' }, finding.message, '. ', h('span', { class: 'soft' }, finding.advice, '.'))));
    const errors = this.findings.filter((finding) => finding.severity === 'error').length;
    const head = this.findings.length === 0 ? 'No problems' : `${this.findings.length} ${this.findings.length === 1 ? 'problem' : 'problems'}${errors < this.findings.length ? `, ${errors} to mend` : ''}`;
    fill(this.parts.problems, h('div', { role: 'status' }, h('h2', {}, head)), h('ul', {}, this.findings.map(row)));
    this.editor.mark(this.findings.filter((finding) => finding.file === this.path));
  }

  go(finding) {
    // Of samples there is a folder, and no file yet.
    if (this.files[finding.file] === undefined) return this.add(finding.file === 'samples' ? 'samples/example.json' : finding.file);
    if (finding.file !== this.path) this.select(finding.file);
    this.editor.go(finding.line, finding.column);
  }

  add(wanted = '') {
    const path = h('input', { id: 'new-path', required: true, value: wanted, list: 'new-paths', autocomplete: 'off', spellcheck: 'false' });
    const locale = this.first(this.seen?.locale)?.split('/')[0] ?? 'en';
    const offers = ['de/content.md', 'fr/content.md', 'samples/example.json', `${locale}/sms.txt`, `${locale}/email.txt`, `${locale}/email.mjml`];
    dialog('New file', [
      h('div', { class: 'field' }, h('label', { for: 'new-path' }, 'Its path'), path, h('datalist', { id: 'new-paths' }, offers.map((value) => h('option', { value })))),
      h('p', { class: 'soft' }, 'A new language begins as a copy of the one that is open: fr/content.md. A sample is samples/NAME.json.'),
    ], [{ label: 'Make it', kind: 'main', act: () => {
      const name = path.value.trim();
      if (!path.reportValidity()) return false;
      if (this.files[name] !== undefined) throw new Error(`${name} is there already.`);
      const data = () => (Object.keys(this.seen?.data ?? {}).length > 0 ? this.seen.data : empty(this.schema(), this.schema()));
      const like = name.endsWith('/content.md') ? this.files[this.first(this.seen?.locale)] ?? '' : name.startsWith('samples/') ? `${JSON.stringify(data(), null, 2)}\n` : '';
      this.files[name] = like;
      this.select(name);
      this.later();
      return true;
    } }]);
    path.focus();
  }

  remove() {
    const path = this.path;
    dialog(`Delete ${path}?`, [h('p', {}, 'It is gone from this draft; versions on record keep it.')], [{ label: 'Delete', kind: 'danger', act: () => {
      delete this.files[path];
      this.path = null;
      this.select(this.first(this.seen?.locale));
      this.later();
    } }]);
  }

  discard() {
    this.parting(() => this.load('What was changed here is discarded.'));
  }
}

// A template that is clean and waits for its words.
function blank(key) {
  const title = key.replaceAll('-', ' ').replace(/^./, (letter) => letter.toUpperCase());
  const schema = { type: 'object', required: ['name'], additionalProperties: false, properties: { name: { type: 'string', description: 'How the person is addressed' } } };
  const files = {
    'template.toml': `title = "${title}"\ncategory = "general"\nchannels = ["inbox", "email"]\ndefault_locale = "en"\n`,
    'schema.json': `${JSON.stringify(schema, null, 2)}\n`,
    'samples/example.json': '{ "name": "Ada" }\n',
    'en/content.md': `+++\ntitle = "${title}"\nsummary = "What it is about, in one sentence."\n+++\n\nHello {{name}},\n\nwrite here what there is to say.\n`,
  };
  return { template: { key, origin: 'new', version: 'new', overrides: false, default_locale: 'en' }, number: null, files, shared_files: {} };
}

function differencesOf(studio) {
  const files = studio.touched();
  const back = { shared: 'the shared template', new: 'what a new template begins with' }[studio.origin] ?? `version ${studio.number}`;
  return h('p', {}, `What is not published or kept as a draft is gone: ${files.join(', ')} ${files.length === 1 ? 'goes' : 'go'} back to ${back}.`);
}

const place = document.getElementById('studio');
if (place) {
  const studio = new Studio(place);
  studio.load().catch((problem) => {
    fill(place, h('p', { class: 'notice bad', role: 'alert' }, problem.message),
      h('p', {}, h('button', { type: 'button', class: 'main', onclick: () => location.reload() }, 'Try again')));
  });
}

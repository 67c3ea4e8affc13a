// Publishing, looking back, taking back.
import { h, fill, dialog } from './dom.js';
import { channelsOf } from './manifest.js';

// How many versions are listed at a time.
const PAGE = 50;

function lines(diff) {
  const kind = (line) => (line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : line.startsWith('@@') ? 'where' : '');
  return h('pre', { class: 'diff', tabIndex: 0 }, diff.split('\n').map((line) => h('span', { class: kind(line) }, `${line}\n`)));
}

export function differences(files) {
  if (files.length === 0) return h('p', { class: 'soft' }, 'Nothing differs.');
  return h('div', { class: 'differences' }, files.map((file) => h('details', { open: files.length < 4 },
    h('summary', {}, file.file, ' ', h('span', { class: 'soft' }, file.change)), lines(file.diff))));
}

// The versions of a template, each to be looked at, compared with what is live, and made live.
export async function history(studio) {
  const list = h('div', {}, h('p', { class: 'soft' }, 'Asking…'));
  const shown = h('div', { 'aria-live': 'polite' });
  const box = dialog('Versions', [list, shown], [], 'Close');
  box.classList.add('wide');
  const failed = (problem) => fill(shown, h('p', { class: 'notice bad', role: 'alert' }, problem.message));
  const compare = async (name) => {
    const diff = await studio.api.call('GET', '/diff', undefined, { query: { from: name, to: 'live' } });
    fill(shown, h('h3', {}, `From version ${name} to what is live`), differences(diff.files));
  };
  const release = (to, words) => () => studio.parting(async () => {
    try {
      await studio.api.call('POST', '/rollback', { to, base: studio.base });
      box.close();
      await studio.load(words);
    } catch (problem) {
      failed(problem);
    }
  });
  const open = (number) => () => studio.parting(() => { box.close(); return studio.open(number); });
  const time = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  const row = (version) => h('tr', {},
    h('td', {}, `Version ${version.number}`),
    h('td', { class: 'mono' }, version.version.slice(0, 12)),
    h('td', {}, time.format(new Date(version.created_at))),
    h('td', {}, version.live ? h('span', { class: 'state good' }, 'live') : version.released_at ? h('span', { class: 'state' }, 'was live') : h('span', { class: 'state warn' }, 'draft')),
    h('td', {}, h('div', { class: 'row' },
      h('button', { type: 'button', onclick: open(String(version.number)) }, 'Open'),
      version.live ? null : h('button', { type: 'button', onclick: () => compare(String(version.number)).catch(failed) }, 'Compare'),
      version.live ? null : h('button', { type: 'button', onclick: release(String(version.number), `Version ${version.number} is live.`) }, 'Make live'))));
  const rows = h('tbody');
  let next = null;
  const more = async () => {
    const page = await studio.versions({ limit: PAGE, ...(next && { after: next }) });
    rows.append(...page.items.map(row));
    next = page.next;
    older.hidden = next === null;
  };
  const older = h('p', {}, h('button', { type: 'button', onclick: () => more().catch(failed) }, 'Older versions'));
  try {
    await more();
  } catch (problem) {
    fill(list);
    return failed(problem);
  }
  const none = studio.hasShared ? 'There is only the shared template; what you publish hides it for this app.' : 'There is none yet: it is new.';
  fill(list,
    rows.children.length === 0 ? h('p', { class: 'soft' }, none) : h('div', { class: 'scroll' }, h('table', {},
      h('thead', {}, h('tr', {}, ['Version', 'Hash', 'Written', 'State', 'What to do'].map((name) => h('th', {}, name)))),
      rows)),
    older,
    studio.base !== 'shared' && studio.hasShared ? h('p', { class: 'row' }, h('button', { type: 'button', onclick: release('shared', 'The shared template is live.') }, 'Back to the shared template')) : null);
}

export function publish(studio) {
  const errors = studio.findings.filter((finding) => finding.severity === 'error');
  const body = [];
  if (errors.length > 0) body.push(h('p', { class: 'notice bad' }, `${errors.length} ${errors.length === 1 ? 'mistake keeps' : 'mistakes keep'} this from being published. They are listed below the editor.`));
  body.push(h('p', {}, 'From now on requests are written with this version. What was accepted before keeps the words that it was accepted with.'));
  const differing = h('div', {}, differences(studio.changes()));
  body.push(differing);
  const box = dialog(`Publish ${studio.key}`, body, [
    { label: 'Keep as a draft', act: async () => {
      const receipt = await studio.api.call('PUT', '', { files: studio.all(), publish: false });
      studio.say(`Version ${receipt.number} is on record as a draft.`);
    } },
    { label: 'Publish', kind: 'main', disabled: errors.length > 0, act: async () => {
      const receipt = await studio.api.call('PUT', '', { files: studio.all(), publish: true, base: studio.base }).catch(async (problem) => {
        // Shown now: what differs from theirs, so that publishing once more is knowing what one does.
        if (problem.code === 'conflict') await studio.rebase().then(() => fill(differing, differences(studio.changes())));
        throw problem;
      });
      await studio.load(`Version ${receipt.number} is live.`);
    } },
  ]);
  box.classList.add('wide');
}

export function test(studio) {
  const to = h('input', { id: 'test-to', required: true, placeholder: 'ada', value: localStorage.getItem('stentor-test-to') ?? '', autocomplete: 'off' });
  const [named, locale] = [channelsOf(studio.files['template.toml']), studio.language()];
  const boxes = ['inbox', 'email', 'sms'].map((channel) => h('input', { type: 'checkbox', value: channel, checked: named.includes(channel) }));
  dialog('Send me a test', [
    h('div', { class: 'field' }, h('label', { for: 'test-to' }, 'To the recipient with this id'), to),
    h('fieldset', {}, h('legend', {}, 'On'), h('div', { class: 'row' }, boxes.map((box) => h('label', { class: 'inline' }, box, box.value)))),
    h('p', { class: 'soft' }, `It is sent as it stands here, in ${locale ? `the language of the preview (${locale})` : 'their language'}, to the addresses on their profile.`),
  ], [{ label: 'Send', kind: 'main', act: async () => {
    if (!to.reportValidity()) return false;
    localStorage.setItem('stentor-test-to', to.value);
    const receipt = await studio.api.call('POST', '/test', {
      to: to.value.trim(), files: studio.all(), locale, ...studio.filling(),
      channels: boxes.filter((box) => box.checked).map((box) => box.value),
    });
    const story = `/console/notifications/${receipt.id}?${new URLSearchParams({ app: studio.app })}`;
    studio.say(`A test is on its way to ${to.value.trim()}: `, h('a', { href: story, target: '_blank' }, 'what becomes of it'));
    return true;
  } }]);
}

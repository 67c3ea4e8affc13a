// What a message looks like on each channel. What a template wrote stands in a sandboxed frame, where nothing runs.
import { h, fill } from './dom.js';
import { drawn } from './widget.js';

export const TABS = [
  ['inbox', 'Inbox'], ['desktop', 'Mail'], ['phone', 'Phone'], ['dark', 'Dark'], ['text', 'Plain text'], ['source', 'Source'], ['sms', 'SMS'],
];

// A frame without scripts, forms, or a way out.
function frame(title, html, properties = {}) {
  return h('iframe', { title, sandbox: '', referrerpolicy: 'no-referrer', srcdoc: html, ...properties });
}

// A mail program in the dark, or in the light, whatever the reader's own system is.
function shaded(html, dark) {
  return html.replace(/\(\s*prefers-color-scheme\s*:\s*dark\s*\)/gi, dark ? '(min-width:0)' : '(max-width:0)')
    .replace(/\(\s*prefers-color-scheme\s*:\s*light\s*\)/gi, dark ? '(max-width:0)' : '(min-width:0)');
}

function failed(error) {
  return h('div', { class: 'notice bad', role: 'alert' }, h('strong', {}, 'This cannot be written. '), error);
}

function envelope(email, from) {
  return h('dl', { class: 'envelope' }, h('dt', {}, 'From'), h('dd', {}, from), h('dt', {}, 'Subject'), h('dd', { class: 'subject' }, email.subject));
}

function inbox(item, { lang }) {
  const { list, page } = drawn(item, lang);
  return [
    h('h3', {}, 'In the list'), frame('The message in the list of the inbox', list, { class: 'listed' }),
    h('h3', {}, 'Opened'), frame('The message, opened in the inbox', page, { class: 'page' }),
  ];
}

function sms(message, { direction, lang }) {
  const { segments, units, capacity, forced_by: culprit } = message;
  const room = capacity / segments;
  const parts = Array.from({ length: segments }, (_, i) => Math.min(Math.max(units - i * room, 0), room));
  const encoding = culprit ? 'Unicode (UCS-2)' : 'GSM-7';
  const words = `${segments} ${segments === 1 ? 'segment' : 'segments'}, ${units} of ${capacity} in ${encoding}`;
  return [
    h('div', { class: 'handset', role: 'group', 'aria-label': 'A phone' }, h('div', { class: 'screen' },
      h('p', { class: 'soft' }, 'Text message'), h('p', { class: 'bubble', dir: direction, lang }, message.text))),
    h('div', { class: 'meter' },
      h('div', { class: 'segments', role: 'img', 'aria-label': words }, parts.map((used) => h('span', {}, h('i', { style: `inline-size:${(100 * used) / room}%` })))),
      h('p', { class: segments > 2 ? 'bad' : '' }, words),
      culprit ? h('p', { class: 'soft' }, 'The character ', h('code', {}, culprit), ` (U+${culprit.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}) asks for Unicode: a segment holds 70 characters instead of 160.`) : null),
  ];
}

// Draws one tab of what the server wrote.
export function draw(panel, tab, seen, app) {
  const language = { lang: seen.locale ?? 'en', direction: new Intl.Locale(seen.locale ?? 'en').getTextInfo?.().direction ?? 'ltr' };
  const channel = tab === 'inbox' ? seen.inbox : tab === 'sms' ? seen.sms : seen.email;
  panel.dataset.tab = tab;
  if (!channel) return fill(panel, h('p', { class: 'empty' }, 'Nothing to see until the mistakes below the editor are mended.'));
  if (channel.error) return fill(panel, failed(channel.error));
  switch (tab) {
    case 'inbox': return fill(panel, inbox(channel, language));
    case 'sms': return fill(panel, sms(channel, language));
    case 'text': return fill(panel, envelope(channel, app), h('pre', { class: 'plain', dir: 'auto', tabIndex: 0 }, channel.text));
    case 'source': return fill(panel, h('p', { class: 'soft' }, `${Math.ceil(new Blob([channel.html]).size / 1024)} KiB of HTML; mail programs cut off beyond 100.`), h('pre', { class: 'plain', tabIndex: 0 }, channel.html));
    default: return fill(panel, envelope(channel, app), frame(`The mail, ${tab}`, shaded(channel.html, tab === 'dark'), { class: `mail ${tab}` }));
  }
}

// The inbox as the real widget draws it: its own views and style sheet, in the frame of a page where nothing runs.
import { html, render } from 'lit';
import { Language } from '../../widget/src/language.ts';
import sheet from '../../widget/src/style.css';
import { detail } from '../../widget/src/views/detail.ts';
import { cards } from '../../widget/src/views/list.ts';

// The sheet is written for a shadow; here the element stands in a page of its own.
const flat = sheet.replace(/:host\(([^)]*)\)/g, 'stentor-inbox$1').replace(/:host/g, 'stentor-inbox');

// Elements of this document load nothing and hear nothing: it is shown nowhere.
const still = document.implementation.createHTMLDocument('');

function written(template) {
  const place = still.createElement('div');
  render(template, place, { creationScope: still });
  return place.innerHTML.replace(/<!--.*?-->/gs, '');
}

// The card in the list and the opened item, each as a document.
export function drawn(message, locale) {
  const language = Language.of(locale);
  const item = {
    id: 'preview', title: message.title, summary: message.summary ?? undefined, image: message.image ?? undefined, link: message.link ?? undefined,
    actions: message.actions, priority: 'normal', created_at: new Date().toISOString(), rev: 1,
  };
  const content = { ...item, body_html: message.body_html, body_text: message.body_text, articles: message.articles };
  const inbox = { items: () => [item], item: () => item, more: () => false, status: 'live' };
  const nothing = () => {};
  const list = cards({ inbox, category: '', language, opened: undefined, failed: false, label: (name) => name, open: nothing, archive: nothing, retry: nothing });
  const page = detail({ id: 'preview', content }, inbox, language, { retry: nothing, archive: nothing, unread: nothing });
  const framed = (inner, aside) => {
    const body = written(html`<div class="root" dir=${language.direction} lang=${language.locale}><div class="box"><div class="body ${aside ? 'aside' : ''}">
      ${aside ? html`<div class="side">${inner}</div>` : html`<div class="main"><div class="scroll">${inner}</div></div>`}</div></div></div>`);
    return `<!doctype html><html lang="${language.locale}"><head><meta charset="utf-8"><style>:root{color-scheme:light dark}html,body,stentor-inbox{margin:0;height:100%!important}${flat}</style></head>
<body><stentor-inbox variant="panel">${body}</stentor-inbox></body></html>`;
  };
  return { list: framed(list, false), page: framed(page, true) };
}

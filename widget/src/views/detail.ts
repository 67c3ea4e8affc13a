// An item that is open: its content, its buttons, and what can be done with it.
import { html, nothing, type TemplateResult } from "lit";

import type { Opened } from "../element.js";
import type { Action, Article, Item } from "../frames.js";
import { icons } from "../icons.js";
import type { StentorInbox } from "../inbox.js";
import type { Language } from "../language.js";
import { failure, ghost, picture } from "./parts.js";

interface Doings {
  retry(id: string): void;
  /** Archives an item, or puts it back. */
  archive(id: string, back: boolean): void;
  unread(id: string): void;
}

export function detail({ id, content, failed }: Opened, inbox: StentorInbox, language: Language, does: Doings): TemplateResult {
  const { words } = language;
  const item: Item | undefined = content ?? inbox.item(id);
  const body = content
    ? html`<div class="content" part="content" dir="auto" .innerHTML=${content.body_html}></div>` // sanitised by the server
    : failed
      ? failure(words, () => does.retry(id))
      : ghost(words);
  if (!item) return body;
  const actions: Action[] = [...(item.actions ?? []), ...(item.link ? [{ label: words.open, url: item.link }] : [])];
  return html`<article part="article" dir="auto">
    ${picture(item.image, "picture")}
    <h3 tabindex="-1">${item.title}</h3>
    <p class="meta"><time datetime=${item.created_at}>${language.date(item.created_at)}</time></p>
    ${content && !content.body_text && item.summary ? html`<p>${item.summary}</p>` : nothing}
    ${body}
    ${content?.articles?.length ? html`<ul class="stories" role="list">${content.articles.map((article) => story(item, article))}</ul>` : nothing}
    ${actions.length ? html`<div class="actions">${actions.map((action, at) => html`<a class=${at ? "" : "first"} part="action" href=${action.url}
      @click=${(event: Event) => act(event, item, action)}>${action.label}</a>`)}</div>` : nothing}
    <div class="doings">
      ${item.archived_at
        ? html`<button @click=${() => does.archive(id, true)}>${icons.unarchive}${words.unarchive}</button>`
        : html`<button @click=${() => does.unread(id)}>${icons.unread}${words.markUnread}</button>
          <button @click=${() => does.archive(id, false)}>${icons.archive}${words.archive}</button>`}
    </div>
  </article>`;
}

/** One of several stories: a card that leads to it. */
const story = (item: Item, { title, summary, image, link }: Article): TemplateResult => html`<li><a class="card" part="story" href=${link ?? nothing}
  @click=${(event: Event) => link && act(event, item, { label: title, url: link })}>${picture(image)}<span class="text">
    <span class="title">${title}</span>${summary ? html`<span class="summary">${summary}</span>` : nothing}</span></a></li>`;

/** The page may do it otherwise: it is asked first. */
function act(event: Event, item: Item, action: Action): void {
  const asked = new CustomEvent("stentor-action", { detail: { item, action }, bubbles: true, composed: true, cancelable: true });
  if (!event.target!.dispatchEvent(asked)) event.preventDefault();
}

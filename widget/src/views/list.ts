// The list: title cards, and what is said when there are none.
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";

import type { Item } from "../frames.js";
import { icons } from "../icons.js";
import type { StentorInbox } from "../inbox.js";
import type { Language } from "../language.js";
import { ARCHIVED } from "../state.js";
import { button, failure, ghost, picture } from "./parts.js";

export interface Listed {
  inbox: StentorInbox | undefined;
  category: string;
  language: Language;
  opened: string | undefined;
  /** Loading older items did not work. */
  failed: boolean;
  /** What a category is called. */
  label(category: string): string;
  open(id: string): void;
  /** Archives an item, or puts it back. */
  archive(id: string, back: boolean): void;
  retry(): void;
}

export function cards(listed: Listed): TemplateResult {
  const { inbox, category, language: { words } } = listed;
  const items = inbox?.items(category) ?? [];
  const more = inbox?.more(category);
  if (items.length === 0 && more === false) {
    return html`<div class="empty" part="empty">${icons.bell}${category === ARCHIVED
      ? html`<strong>${words.emptyArchived}</strong>` : html`<strong>${words.empty}</strong><span>${words.emptyMore}</span>`}</div>`;
  }
  if (items.length === 0 && inbox?.status !== "connecting" && inbox?.status !== "live") return html``; // what is in the way is said above
  return html`<ul role="list" @keydown=${keys}>${repeat(items, (item) => item.id, (item) => card(item, listed))}</ul>
    ${more === false
      ? nothing
      : listed.failed
        ? failure(words, listed.retry)
        : html`<div class="more" role="img" aria-label=${words.loading}>${Array.from({ length: items.length ? 1 : 4 }, () => ghost(words))}</div>`}`;
}

function card(item: Item, { inbox, language, opened, label, open, archive }: Listed): TemplateResult {
  const { words } = language;
  const unread = !item.read_at && !item.archived_at; // what is archived is not counted
  const mark = unread ? words.markRead : words.markUnread;
  const archived = !!item.archived_at;
  const move = archived ? words.unarchive : words.archive;
  return html`<li data-id=${item.id} class=${unread ? "unread" : ""} part="item">
    <button class="card" part="card" aria-current=${opened === item.id ? "true" : nothing} @click=${() => open(item.id)}>
      ${picture(item.image)}
      <span class="text">
        <span class="title">${unread ? html`<span class="sr">${words.isUnread}: </span>` : nothing}${item.title}</span>
        ${item.summary ? html`<span class="summary">${item.summary}</span>` : nothing}
        <span class="meta">${item.priority === "high" ? html`<span class="high">${words.important}</span>` : nothing}<time datetime=${item.created_at} title=${language.date(item.created_at)}>${language.ago(item.created_at)}</time>${item.category ? html` · <bdi>${label(item.category)}</bdi>` : nothing}</span>
      </span>
    </button>
    <div class="tools">
      ${archived ? nothing : button(unread ? icons.read : icons.unread, `${mark}: ${item.title}`, () => (unread ? inbox!.markRead([item.id]) : inbox!.markUnread([item.id])), { title: mark })}
      ${button(archived ? icons.unarchive : icons.archive, `${move}: ${item.title}`, () => archive(item.id, archived), { title: move })}
    </div>
  </li>`;
}

/** Up and down go from card to card. */
function keys(event: KeyboardEvent): void {
  const all = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>(".card")];
  const at = all.indexOf((event.target as HTMLElement).closest("li")!.querySelector<HTMLElement>(".card")!);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  all[Math.max(0, Math.min(to, all.length - 1))]?.focus();
}

// What calls for attention outside of the inbox, each only if the page asks for it: toasts, a sound, the count in the
// page's title and icon. Of several elements with the same inbox, one does it.
import { html, nothing, type TemplateResult } from "lit";

import type { InboxElement } from "./element.js";
import type { Item } from "./frames.js";
import { icons } from "./icons.js";
import type { StentorInbox } from "./inbox.js";
import type { Language } from "./language.js";
import { button } from "./views/parts.js";

/** How long a toast stays, unless somebody points at it. */
const TOAST_FOR = 6_000;
/** The most that are shown at once. */
const MOST_TOASTS = 3;

/** The elements of each inbox on this page; the first one speaks. */
const speakers = new WeakMap<StentorInbox, InboxElement[]>();

export class Notices {
  #inbox: StentorInbox | undefined;
  #toasts: Item[] = [];
  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #title = "";
  #icon: { link: HTMLLinkElement; href: string } | undefined;

  constructor(private readonly element: InboxElement) {}

  get any(): boolean {
    return this.#toasts.length > 0;
  }

  watch(inbox: StentorInbox): void {
    this.#inbox = inbox;
    speakers.set(inbox, [...(speakers.get(inbox) ?? []), this.element]);
    inbox.addEventListener("item", this.#came);
  }

  stop(): void {
    const inbox = this.#inbox;
    if (!inbox) return;
    this.badge(0);
    inbox.removeEventListener("item", this.#came);
    speakers.set(inbox, (speakers.get(inbox) ?? []).filter((other) => other !== this.element));
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#toasts = [];
    this.#inbox = undefined;
  }

  #came = (event: Event): void => {
    const { element } = this;
    if (speakers.get(this.#inbox!)?.[0] !== element) return;
    const item = (event as CustomEvent<Item>).detail;
    element.announce(item);
    if (element.sound && (!document.hidden || this.#inbox!.leads)) void ring();
    if (!element.toasts || document.hidden || element.open) return;
    this.#toasts = [...this.#toasts, item].slice(-MOST_TOASTS);
    this.#leaveLater(item.id);
    element.requestUpdate();
  };

  #leaveLater(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.set(id, setTimeout(() => this.#drop(id), TOAST_FOR));
  }

  #drop(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.#toasts = this.#toasts.filter((toast) => toast.id !== id);
    this.element.requestUpdate();
  }

  /** The toasts, in a corner of the page. They are said by the element's region, and can be reached in the inbox as well. */
  tray({ words }: Language, open: (id: string) => void): TemplateResult | typeof nothing {
    // One that was read, withdrawn or put away meanwhile is no news.
    const toasts = this.#toasts.filter(({ id }) => this.#inbox?.item(id)?.read_at === undefined && this.#inbox?.item(id));
    if (toasts.length === 0 || this.element.open) return nothing;
    const hold = (id: string) => clearTimeout(this.#timers.get(id));
    return html`<div class="tray" part="toasts" popover="manual">${toasts.map(({ id, title, summary }) => html`
      <div class="toast" part="toast" @pointerenter=${() => hold(id)} @focusin=${() => hold(id)} @pointerleave=${() => this.#leaveLater(id)} @focusout=${() => this.#leaveLater(id)}>
        <button class="card" @click=${() => { this.#drop(id); open(id); }}><span class="text"><span class="title">${title}</span>${summary ? html`<span class="summary">${summary}</span>` : nothing}</span></button>
        ${button(icons.close, `${words.close}: ${title}`, () => this.#drop(id), { title: words.close })}
      </div>`)}</div>`;
  }

  /** Sets the count into the page's title and icon. */
  badge(unread = this.#inbox?.unread ?? 0): void {
    const { element } = this;
    const first = this.#inbox !== undefined && speakers.get(this.#inbox)?.[0] === element;
    const titled = document.title.startsWith(this.#title) ? document.title.slice(this.#title.length) : document.title;
    const title = first && element.titleBadge && unread > 0 ? `(${unread}) ` : "";
    if (title !== this.#title || !document.title.startsWith(title)) {
      this.#title = title;
      document.title = title + titled;
    }
    if (first && element.faviconBadge !== undefined && unread > 0) this.#mark(element.faviconBadge);
    else if (this.#icon) {
      this.#icon.link.href = this.#icon.href;
      this.#icon = undefined;
    }
  }

  #mark(url: string): void {
    if (this.#icon) return;
    let link = document.querySelector<HTMLLinkElement>("link[rel~=icon]");
    if (!link) document.head.append((link = Object.assign(document.createElement("link"), { rel: "icon" })));
    this.#icon = { link, href: link.href };
    link.href = url || DOT;
  }
}

/** A dot, for pages that have no icon of their own for it. */
const DOT = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'><circle cx='4' cy='4' r='3' fill='%23c62828'/></svg>";

/** Two soft tones, once for all tabs of the browser. A page that nobody touched yet may make no sound. */
async function ring(): Promise<void> {
  const play = async () => {
    const context = new AudioContext();
    try {
      if (context.state !== "running") return;
      [[660, 0], [880, 0.12]].forEach(([tone, after]) => {
        const [voice, volume, at] = [context.createOscillator(), context.createGain(), context.currentTime + after!];
        voice.frequency.value = tone!;
        volume.gain.setValueAtTime(0.08, at);
        volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.4);
        voice.connect(volume).connect(context.destination);
        voice.start(at);
        voice.stop(at + 0.4);
      });
      await new Promise((done) => setTimeout(done, 600));
    } finally {
      await context.close();
    }
  };
  if (!navigator.locks) return play();
  await navigator.locks.request("stentor:sound", { ifAvailable: true }, async (lock) => lock && play());
}

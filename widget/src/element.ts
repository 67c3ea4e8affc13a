// `<stentor-inbox>`: what a person sees of the inbox. What is known, and how it got here, is StentorInbox's.
import { html, LitElement, nothing, type PropertyValues, type TemplateResult, unsafeCSS } from "lit";

import type { StentorInboxElement } from "./face.js";
import type { Item, OpenedItem, Preferences } from "./frames.js";
import { icons } from "./icons.js";
import { StentorInbox } from "./inbox.js";
import { Language } from "./language.js";
import { Notices } from "./notices.js";
import { place } from "./place.js";
import sheet from "./style.css";
import { ALL, ARCHIVED } from "./state.js";
import type { TokenProvider } from "./tokens.js";
import { detail } from "./views/detail.js";
import { cards } from "./views/list.js";
import { button } from "./views/parts.js";
import { choices } from "./views/preferences.js";
import type { Words } from "./words/en.js";

/** Where Stentor is, if the page does not say: where this module came from. */
const HOME = new URL(import.meta.url).origin;
/** How long "Undo" is offered. */
const UNDO_FOR = 8_000;
/** How often the times are said anew. */
const TICK = 30_000;

/** An item that is open. */
export interface Opened {
  id: string;
  content?: OpenedItem;
  failed?: boolean;
  /** There was no connection: it is asked for again once there is one. */
  later?: boolean;
}

export class InboxElement extends LitElement implements StentorInboxElement {
  static override styles = unsafeCSS(sheet);
  static override properties = {
    url: {},
    tokenUrl: { attribute: "token-url" },
    tokenProvider: { attribute: false },
    recipient: {},
    variant: { reflect: true },
    locale: {},
    words: { type: Object },
    categories: {},
    open: { type: Boolean, reflect: true },
    toasts: { type: Boolean },
    sound: { type: Boolean },
    titleBadge: { type: Boolean, attribute: "title-badge" },
    faviconBadge: { attribute: "favicon-badge" },
    noCache: { type: Boolean, attribute: "no-cache" },
    noShare: { type: Boolean, attribute: "no-share" },
  };

  // What each is for: face.ts.
  declare url?: string;
  declare tokenUrl?: string;
  declare tokenProvider?: TokenProvider;
  declare recipient?: string;
  declare variant: "bell" | "panel" | "page";
  declare locale?: string;
  declare words?: Partial<Words>;
  declare categories?: string;
  declare open: boolean;
  declare toasts: boolean;
  declare sound: boolean;
  declare titleBadge: boolean;
  declare faviconBadge?: string;
  declare noCache: boolean;
  declare noShare: boolean;

  #inbox: StentorInbox | undefined;
  #leave: (() => void) | undefined;
  #language = Language.of("en");
  #notices = new Notices(this);
  #category = ALL;
  /** The list that the archive's button leads to. */
  #other = ARCHIVED;
  #opened: Opened | undefined;
  #preferences: { value?: Preferences; failed?: boolean } | undefined;
  #archived: string[] = [];
  #failed = false;
  #said = "";
  #undoUntil: ReturnType<typeof setTimeout> | undefined;
  #tick: ReturnType<typeof setInterval> | undefined;
  #place = new CSSStyleSheet();
  #more = new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && this.#loadMore(), { rootMargin: "240px" });

  constructor() {
    super();
    this.variant = "bell";
    this.open = this.toasts = this.sound = this.titleBadge = this.noCache = this.noShare = false;
  }

  get inbox(): StentorInbox | undefined {
    return this.#inbox;
  }

  // --- coming and going ---

  override connectedCallback(): void {
    super.connectedCallback();
    this.#tick = setInterval(() => this.requestUpdate(), TICK);
    addEventListener("resize", this.#arrange);
    addEventListener("scroll", this.#arrange, { passive: true, capture: true });
    document.addEventListener("pointerdown", this.#outside);
    this.requestUpdate("url"); // joins again, if it was taken out of the page before
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#tick);
    clearTimeout(this.#undoUntil);
    removeEventListener("resize", this.#arrange);
    removeEventListener("scroll", this.#arrange, { capture: true });
    document.removeEventListener("pointerdown", this.#outside);
    this.#more.disconnect();
    this.#part();
  }

  protected override createRenderRoot(): HTMLElement | DocumentFragment {
    const root = super.createRenderRoot() as ShadowRoot;
    root.adoptedStyleSheets.push(this.#place);
    return root;
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    const page = this.closest("[lang]")?.getAttribute("lang") || navigator.language;
    const locale = this.locale || page;
    if (changed.has("words") || locale !== this.#language.locale) this.#language = Language.of(locale, this.words);
    const which = ["url", "tokenUrl", "tokenProvider", "recipient", "noCache", "noShare"] as const;
    if (which.some((name) => changed.has(name))) this.#join();
    if (changed.has("open") && changed.get("open") !== undefined && !this.open) this.#closed();
  }

  #join(): void {
    const token = this.tokenProvider ?? this.tokenUrl;
    const { url = HOME, recipient, noCache, noShare } = this;
    const next = token ? StentorInbox.of({ url, token, recipient, cache: !noCache, share: !noShare }) : undefined;
    if (next === this.#inbox && this.#leave) return;
    this.#part();
    this.#inbox = next;
    if (!next) return;
    this.#leave = next.subscribe(this.#changed);
    next.addEventListener("updated", this.#updated);
    next.addEventListener("refused", this.#refused);
    this.#notices.watch(next);
  }

  #part(): void {
    this.#leave?.();
    this.#leave = undefined;
    this.#inbox?.removeEventListener("updated", this.#updated);
    this.#inbox?.removeEventListener("refused", this.#refused);
    this.#notices.stop();
  }

  #changed = (): void => {
    const opened = this.#opened;
    if (this.#inbox?.status !== "live") this.#failed = false;
    else if (opened?.later) {
      opened.later = false;
      void this.#load(opened.id);
    }
    if (opened?.content && !this.#inbox?.item(opened.id)) this.#back(); // it was withdrawn, or put away elsewhere
    this.requestUpdate();
  };

  #updated = (event: Event): void => {
    const opened = this.#opened;
    if (opened && (event as CustomEvent<string[]>).detail.includes(opened.id)) void this.#load(opened.id);
  };

  #refused = (): void => this.#say(this.#language.words.notDone);

  /** Says something to those who hear the page: by the one region that there is. */
  #say(text: string): void {
    this.#said = this.#said === text ? `${text}\u00a0` : text; // the same words again are said again
    this.requestUpdate();
  }

  /** Something came. Called for one element of each inbox. */
  announce(item: Item): void {
    this.#say(this.#language.words.came.replace("{title}", item.title));
  }

  // --- the popover ---

  show(): void {
    this.open = true;
    this.#arrange();
    void this.updateComplete.then(this.#arrange);
    this.#focus(".box");
  }

  close(): void {
    this.open = false;
  }

  #closed(): void {
    this.#opened = this.#preferences = undefined;
    if (this.#category === ARCHIVED) this.#turn();
    const root = this.renderRoot as ShadowRoot;
    // Focus goes back to where it came from, unless somebody has put it elsewhere.
    if (root.activeElement) this.#focus(".bell");
  }

  /** Once it is drawn, the first of these that is there has the focus. */
  #focus(...places: (string | undefined)[]): void {
    void this.updateComplete.then(() => {
      for (const place of places) {
        const found = place && this.renderRoot.querySelector<HTMLElement>(place);
        if (found) return found.focus();
      }
    });
  }

  #arrange = (): void => {
    if (this.variant === "bell" && this.open) this.#place.replaceSync(place(this));
  };

  #outside = (event: Event): void => {
    if (this.variant === "bell" && this.open && !event.composedPath().includes(this)) this.close();
  };

  #keys = (event: KeyboardEvent): void => {
    if (event.key === "Escape") {
      if (this.#opened || this.#preferences) this.#back();
      else if (this.variant === "bell") this.close();
      else return;
      event.stopPropagation();
    }
  };

  /** Who tabs out of the bell and its popover has left them. */
  #focusLeft = ({ relatedTarget }: FocusEvent): void => {
    if (relatedTarget && !this.renderRoot.contains(relatedTarget as Node)) this.close();
  };

  // --- doing ---

  async openItem(id: string): Promise<void> {
    this.#preferences = undefined;
    this.#opened = { id };
    if (this.variant === "bell" && !this.open) this.show();
    this.requestUpdate();
    await this.#load(id);
    this.#focus("article h3");
  }

  async #load(id: string): Promise<void> {
    try {
      const content = await this.#inbox!.open(id);
      if (this.#opened?.id === id) this.#opened = { id, content };
      this.dispatchEvent(new CustomEvent("stentor-open", { detail: content, bubbles: true, composed: true }));
    } catch {
      const { status } = this.#inbox!;
      if (this.#opened?.id === id) this.#opened = { id, failed: status !== "connecting", later: status !== "live" };
    }
    this.requestUpdate();
  }

  #back = (): void => {
    const from = this.#preferences ? ".settings" : cardOf(this.#opened?.id);
    this.#opened = this.#preferences = undefined;
    this.requestUpdate();
    this.#focus(from, ".box");
  };

  /** Archives an item, or puts it back. */
  #archive(id: string, back: boolean): void {
    const all = [...this.renderRoot.querySelectorAll<HTMLElement>("[data-id]")].map((entry) => entry.dataset.id!);
    const next = all[all.indexOf(id) + 1] ?? all[all.indexOf(id) - 1];
    const { words } = this.#language;
    if (back) this.#inbox!.unarchive([id]);
    else this.#inbox!.archive([id]);
    this.#archived = back ? [] : [id];
    this.#say(back ? words.unarchived : words.archived);
    clearTimeout(this.#undoUntil);
    this.#undoUntil = setTimeout(() => {
      this.#archived = [];
      this.requestUpdate();
    }, UNDO_FOR);
    if (this.#opened) return this.#back();
    if ((this.renderRoot as ShadowRoot).activeElement) this.#focus(cardOf(next), ".box");
  }

  #undo = (): void => {
    this.#inbox!.unarchive(this.#archived);
    this.#archived = [];
    this.requestUpdate();
    this.#focus(".box");
  };

  #loadMore = (): void => {
    const { status } = this.#inbox ?? {};
    if (status !== "live" || this.#failed) return;
    this.#inbox!.loadMore(this.#category).catch(() => {
      this.#failed = true;
      this.requestUpdate();
    });
  };

  #retry = (): void => {
    this.#failed = false;
    this.#inbox?.retry();
    this.#loadMore();
    this.requestUpdate();
  };

  #choose = (category: string): void => {
    this.#category = category;
    this.#failed = false;
    this.renderRoot.querySelector(".scroll")?.scrollTo(0, 0);
    this.requestUpdate();
  };

  /** To what was archived, and back to the list that was there. */
  #turn = (): void => {
    this.#opened = this.#preferences = undefined;
    const to = this.#other;
    this.#other = this.#category;
    this.#choose(to);
  };

  #openPreferences = async (): Promise<void> => {
    this.#opened = undefined;
    this.#preferences = {};
    this.requestUpdate();
    try {
      this.#preferences = { value: await this.#inbox!.preferences() };
    } catch {
      this.#preferences = { failed: true };
    }
    this.requestUpdate();
    this.#focus(".preferences h3");
  };

  #setPreferences = async (value: Preferences): Promise<void> => {
    const before = this.#preferences;
    this.#preferences = { value };
    this.requestUpdate();
    try {
      await this.#inbox!.setPreferences(value);
    } catch {
      this.#preferences = before;
      this.#say(this.#language.words.notDone);
    }
    this.requestUpdate();
  };

  // --- drawing ---

  /** The tabs: name and label. None if there is nothing to choose. */
  #tabs(): [name: string, label: string][] {
    const { words } = this.#language;
    const given = this.categories?.split(",").map((entry) => entry.trim()).filter(Boolean);
    const names = given?.map((entry) => entry.split(":")) ?? this.#inbox!.categories.map((name) => [name]);
    if (names.length < (given ? 1 : 2)) return [];
    return [[ALL, words.all], ...names.map(([name, label]) => [name!, label?.trim() || titled(name!)] as [string, string])];
  }

  protected override render(): TemplateResult | typeof nothing {
    const { words, direction } = this.#language;
    const unread = this.#inbox?.unread ?? 0;
    const counted = this.#language.count(words.unread, unread);
    const said = html`<div class="sr" role="status" aria-live="polite">${this.#said}</div>`;
    const tray = this.#notices.tray(this.#language, (id) => void this.openItem(id));
    if (this.variant !== "bell") {
      return html`<div class="root" dir=${direction} lang=${this.#language.locale}>
        <section class="box" part="box" tabindex="-1" aria-label=${words.title} @keydown=${this.#keys}>${this.#box()}</section>
        ${said}${tray}</div>`;
    }
    return html`<div class="root" dir=${direction} lang=${this.#language.locale} @focusout=${this.#focusLeft}>
      <button class="bell" part="bell" aria-haspopup="dialog" aria-expanded=${this.open}
        aria-label=${unread ? `${words.title}, ${counted}` : words.title} @click=${() => (this.open ? this.close() : this.show())}>
        ${icons.bell}${unread ? html`<span class="badge" part="badge" aria-hidden="true">${unread > 99 ? `${this.#language.number(99)}+` : this.#language.number(unread)}</span>` : nothing}
      </button>
      ${this.open
        ? html`<div class="box popover" part="box popover" role="dialog" aria-label=${words.title} tabindex="-1" popover="manual"
            @keydown=${this.#keys}>${this.#box()}</div>`
        : nothing}
      ${said}${tray}</div>`;
  }

  #box(): TemplateResult {
    const { words } = this.#language;
    const inbox = this.#inbox;
    const unread = inbox?.unread ?? 0;
    const aside = this.#opened !== undefined || this.#preferences !== undefined;
    const all = inbox ? this.#tabs() : [];
    const archived = this.#category === ARCHIVED;
    const tabs = archived ? [] : all;
    if (!archived && !tabs.some(([name]) => name === this.#category)) this.#category = ALL;
    return html`
      <div class="head" part="header">
        ${aside ? button(icons.back, words.back, this.#back, { name: "back" }) : nothing}
        <h2>${archived ? words.archived : words.title}</h2>
        ${unread && !archived ? html`<span class="count" part="count">${this.#language.count(words.unread, unread)}</span>` : nothing}
        <span class="gap"></span>
        ${button(icons.checks, words.markAllRead, () => inbox?.markAllRead(), { off: !unread })}
        ${button(icons.archive, words.archived, this.#turn, { off: !inbox, pressed: archived })}
        ${button(icons.settings, words.preferences, this.#preferences ? this.#back : this.#openPreferences, { name: "settings", off: !inbox, pressed: this.#preferences !== undefined })}
        ${this.variant === "bell" ? button(icons.close, words.close, () => this.close()) : nothing}
      </div>
      ${this.#trouble()}
      <div class="body ${aside ? "aside" : ""}">
        <div class="main">
          ${tabs.length ? html`<div class="tabs" part="tabs" role="tablist" aria-label=${words.title} @keydown=${arrows}>
            ${tabs.map(([name, label]) => html`<button role="tab" id="tab-${name}" aria-controls="list" aria-selected=${name === this.#category}
              tabindex=${name === this.#category ? 0 : -1} @click=${() => this.#choose(name)}>${label}</button>`)}</div>` : nothing}
          <div class="scroll" id="list" tabindex=${tabs.length ? -1 : nothing} role=${tabs.length ? "tabpanel" : nothing} aria-labelledby=${tabs.length ? `tab-${this.#category}` : nothing}>
            ${cards({
              inbox, category: this.#category, language: this.#language, opened: this.#opened?.id, failed: this.#failed, label: (name) => all.find(([tab]) => tab === name)?.[1] ?? titled(name),
              open: (id) => void this.openItem(id), archive: (id, back) => this.#archive(id, back), retry: this.#retry,
            })}
          </div>
          ${this.#archived.length && !archived ? html`<div class="undo"><span>${words.archived}</span><button @click=${this.#undo}>${words.undo}</button></div>` : nothing}
        </div>
        <div class="side">
          ${this.#preferences
            ? choices(this.#preferences, this.#language, this.#categoriesToChoose(), this.#setPreferences, this.#openPreferences)
            : this.#opened
              ? detail(this.#opened, this.#inbox!, this.#language, {
                  retry: (id) => void this.openItem(id),
                  archive: (id, back) => this.#archive(id, back),
                  unread: (id) => {
                    inbox!.markUnread([id]);
                    this.#back();
                  },
                })
              : html`<p class="rest">${icons.bell}</p>`}
        </div>
      </div>`;
  }

  /** The tabs but for that of all, then whatever else was seen or chosen. */
  #categoriesToChoose(): [name: string, label: string][] {
    const named = this.#tabs().slice(1);
    const others = [...this.#inbox!.categories, ...Object.keys(this.#preferences?.value?.categories ?? {})];
    const labels = others.map((name): [string, string] => [name, titled(name)]);
    return [...new Map([...named, ...labels, ...named])]; // each where it came first, with the label that it was given last
  }

  /** What is in the way, and what can be done about it. */
  #trouble(): TemplateResult | typeof nothing {
    const { words } = this.#language;
    const inbox = this.#inbox;
    const { status, problem } = inbox ?? {};
    if (status !== "offline" && status !== "error") return nothing;
    const text = status === "offline" ? words.offline : words[problem === "token" ? "signedOut" : problem!];
    const waiting = inbox!.waiting ? ` ${this.#language.count(words.waiting, inbox!.waiting)}` : "";
    return html`<div class="trouble ${status}" part="trouble"><span>${text}${waiting}</span>
      <button @click=${this.#retry}>${words.retry}</button></div>`;
  }

  protected override updated(): void {
    const top = (part: string) => {
      const layer = this.renderRoot.querySelector<HTMLElement>(part);
      if (layer?.isConnected && layer.showPopover && !layer.matches(":popover-open")) layer.showPopover();
    };
    if (this.open) top(".popover");
    if (this.#notices.any) top(".tray");
    this.#notices.badge();
    // Looked at anew each time: a short page leaves the end in sight.
    this.#more.disconnect();
    const end = this.renderRoot.querySelector(".more");
    if (end && !this.#failed) this.#more.observe(end);
    const looked = this.variant !== "bell" || this.open;
    if (looked && this.#inbox?.status === "live" && this.#inbox.more(this.#category) === undefined) this.#loadMore();
  }
}

const cardOf = (id?: string): string | undefined => id && `[data-id="${CSS.escape(id)}"] .card`;

const titled = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1).replace(/[-_]/g, " ");

/** Arrow keys go from tab to tab. */
function arrows(event: KeyboardEvent): void {
  const list = event.currentTarget as HTMLElement;
  const tabs = [...list.querySelectorAll<HTMLElement>("[role=tab]")];
  const forward = getComputedStyle(list).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
  const backward = forward === "ArrowRight" ? "ArrowLeft" : "ArrowRight";
  const at = tabs.indexOf(event.target as HTMLElement);
  const to = { [forward]: at + 1, [backward]: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  const tab = tabs[(to + tabs.length) % tabs.length]!;
  tab.click();
  tab.focus();
}

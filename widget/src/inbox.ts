// `StentorInbox`: the inbox of one person without a face. The element draws what this knows; a page may draw its own.
import { Connection, type Problem, type Status } from "./connection.js";
import type { Change, Command, Item, OpenedItem, Preferences, ServerFrame } from "./frames.js";
import { Refused, Rest } from "./rest.js";
import { Sharing } from "./sharing.js";
import { after, ALL, ARCHIVED, foreseen, type Known, nothing, paged } from "./state.js";
import { type Queued, Store } from "./store.js";
import { fromUrl, type TokenProvider, Tokens } from "./tokens.js";
import { Broken } from "./waiting.js";

/** The most ids in one frame. */
const MAX_IDS = 100;
const PAGE = 20;
/** When a change that got no answer is sent again, at the latest. */
const AGAIN_AFTER = 3_000;

export interface InboxOptions {
  /** Where Stentor is; the page's own origin if absent. */
  url?: string;
  /** Gives a fresh inbox token, or the URL of the page's own origin that answers `{"token": …}`. */
  token: TokenProvider | string;
  /** Whose inbox it is. If given, what was kept of it is shown before there is a token: at once, and offline. */
  recipient?: string;
  /** Keeps the last page, and changes that wait, in the browser's storage. Default: true. */
  cache?: boolean;
  /** Shares one connection with the other tabs. Default: true. */
  share?: boolean;
}

/** What tabs tell each other. */
interface Shared {
  known: Known;
  status: Status;
  problem?: Problem;
}
type Told = { frame: ServerFrame } | { status: Status; problem?: Problem };

/**
 * The inbox of one person: connected while somebody is subscribed, the same in every tab.
 *
 * Events: `change` after anything changed; `item` (a `CustomEvent<Item>`) when a new item came while one looked on; `updated`
 * (`CustomEvent<string[]>`, ids) when the sender changed items; `refused` (`CustomEvent<Refused>`) when a change was not taken.
 */
export class StentorInbox extends EventTarget {
  static #all = new Map<string | TokenProvider, Map<string, StentorInbox>>();

  /** The one of these options on this page: elements with the same options share it. */
  static of(options: InboxOptions): StentorInbox {
    const { token, ...rest } = options;
    const key = JSON.stringify(rest);
    let same = this.#all.get(token);
    if (!same) this.#all.set(token, (same = new Map()));
    let inbox = same.get(key);
    if (!inbox) same.set(key, (inbox = new StentorInbox(options)));
    return inbox;
  }

  readonly #options: InboxOptions;
  readonly #rest: Rest;
  readonly #tokens: Tokens;
  #users = 0;
  #known: Known = nothing();
  #status: Status = "connecting";
  #problem: Problem | undefined;
  #store: Store | undefined;
  #alias: string | undefined;
  #sharing: Sharing<Shared, Told> | undefined;
  #connection: Connection | undefined;
  /** What this tab asked for and the server did not confirm yet; shown as if it had. */
  #pending: Queued[] = [];
  #flushing = false;
  #loading = new Map<string, Promise<void>>();
  #starting = 0;

  constructor(options: InboxOptions) {
    super();
    this.#options = options;
    this.#rest = new Rest(options.url ?? location.origin);
    this.#tokens = new Tokens(typeof options.token === "string" ? fromUrl(options.token) : options.token);
  }

  /** Connects until the given function is called (and no other subscriber is left). */
  subscribe(listener: () => void): () => void {
    this.addEventListener("change", listener);
    this.#users += 1;
    if (this.#users === 1) this.#start();
    let subscribed = true;
    return () => {
      if (!subscribed) return;
      subscribed = false;
      this.removeEventListener("change", listener);
      this.#users -= 1;
      // An element that is moved in the page leaves and comes back at once.
      setTimeout(() => this.#users === 0 && this.#stop(), 0);
    };
  }

  /** How the connection is; all tabs have the same. */
  get status(): Status {
    return this.#status;
  }

  /** What is in the way, if the status is `error`. */
  get problem(): Problem | undefined {
    return this.#problem;
  }

  /** How many items are unread in the whole inbox, as the server counted; undefined until it said so. */
  get unread(): number | undefined {
    return this.#known.unread;
  }

  /** True if this tab keeps the connection for all. */
  get leads(): boolean {
    return this.#sharing?.leads ?? false;
  }

  /** By which way this tab is connected: `ws`, `sse` or `poll`; undefined if another tab is. */
  get way(): string | undefined {
    return this.#connection?.way;
  }

  /** How many changes wait for the server. */
  get waiting(): number {
    return this.#pending.length;
  }

  /** What was loaded of a category, of all, or of what is `ARCHIVED`, newest first; changes that wait are in it. */
  items(category = ALL): Item[] {
    const { lists, items } = this.#pending.reduce((known, { change }) => foreseen(known, change), this.#known);
    return (lists[category]?.ids ?? []).flatMap((id) => items[id] ?? []);
  }

  /** One item, if it is known. */
  item(id: string): Item | undefined {
    return this.#known.items[id];
  }

  /** True if older items may be loaded. False at the end; undefined if nothing was loaded yet. */
  more(category = ALL): boolean | undefined {
    const { next } = this.#known.lists[category] ?? {};
    return next === undefined ? undefined : next !== null;
  }

  /** The categories of items that were seen in the inbox. */
  get categories(): string[] {
    const seen = Object.values(this.#known.items).filter((item) => !item.archived_at);
    return [...new Set(seen.flatMap((item) => item.category ?? []))].sort();
  }

  /** Loads the next page of a category, of all, or of what is `ARCHIVED`. */
  loadMore(category = ALL): Promise<void> {
    const next = this.#known.lists[category]?.next;
    if (next === null) return Promise.resolve();
    return this.#list(category, next);
  }

  /** Loads the content of an item, and marks it as read. */
  async open(id: string): Promise<OpenedItem> {
    const frame = await this.#ask({ type: "open", id });
    if (frame.type !== "content") throw new Broken();
    return frame.item;
  }

  markRead(ids: string[]): void {
    this.#change("read", ids);
  }

  markUnread(ids: string[]): void {
    this.#change("unread", ids);
  }

  archive(ids: string[]): void {
    this.#change("archive", ids);
  }

  unarchive(ids: string[]): void {
    this.#change("unarchive", ids);
  }

  /** Marks all that had come by now; what comes meanwhile stays unread. */
  markAllRead(): void {
    this.#enqueue({ type: "read_all", cursor: this.#known.cursor });
  }

  async preferences(): Promise<Preferences> {
    return this.#rest.json("GET", "/v1/inbox/preferences", (await this.#tokens.get()).text);
  }

  async setPreferences(preferences: Preferences): Promise<Preferences> {
    return this.#rest.json("PUT", "/v1/inbox/preferences", (await this.#tokens.get()).text, preferences);
  }

  /** Tries to connect at once. */
  retry(): void {
    if (this.#connection) this.#connection.retry();
    else if (this.#sharing) this.#ask({ type: "ping" }).catch(() => {}); // the tab that keeps the connection does
    else this.#start();
  }

  /** Removes what this browser keeps of the inbox: for when somebody signs out. */
  forget(): void {
    this.#stop();
    this.#store?.forget();
    this.#known = nothing();
    this.#pending = [];
    this.#changed();
  }

  // --- the connection, and the tabs that share it ---

  #start(): void {
    addEventListener("pagehide", this.#leave);
    addEventListener("pageshow", this.#return);
    void this.#join((this.#starting += 1));
  }

  #stop(): void {
    removeEventListener("pagehide", this.#leave);
    removeEventListener("pageshow", this.#return);
    this.#leave();
  }

  /** A page that the browser keeps for the back button must hold neither lock nor socket. */
  #leave = (): void => {
    this.#starting += 1;
    this.#sharing?.leave();
    this.#sharing = undefined;
    this.#connection?.stop();
    this.#connection = undefined;
  };

  #return = (event: PageTransitionEvent): void => {
    if (event.persisted) void this.#join((this.#starting += 1));
  };

  /** Whose inbox it is, app and recipient, stands in the token: it names what is kept, and the lock. */
  async #join(start: number): Promise<void> {
    const { token: source, recipient, share } = this.#options;
    const home = `stentor:${this.#rest.url("/")}:`;
    // The page names a person and no app. Which it was, is remembered until a token says it.
    this.#alias = recipient && `${home}${typeof source === "string" ? source : ""}:${recipient}`;
    this.#recall(Store.known(this.#alias));
    for (let pause = 500; ; pause = Math.min(pause * 2, 30_000)) {
      try {
        const token = await this.#tokens.get();
        if (start !== this.#starting) return;
        const name = home + token.owner;
        this.#recall(name);
        this.#store!.claim();
        this.#sharing = new Sharing<Shared, Told>(name, {
          lead: () => this.#lead(),
          follow: () => this.#follow(),
          known: () => ({ known: this.#known, status: this.#status, problem: this.#problem }),
          learn: ({ known, status, problem }) => {
            this.#known = known;
            this.#told(status, problem);
          },
          told: (told) => ("frame" in told ? this.#took(told.frame) : this.#told(told.status, told.problem)),
          ask: (command) => {
            if (command.type === "ping") this.#connection?.retry();
            return this.#connection?.ask(command) ?? Promise.reject(new Broken());
          },
        }, share ?? true);
        if (this.#sharing.leads) this.#lead(); // it led before we had a name for it
        return;
      } catch (error) {
        if (start !== this.#starting) return;
        console.warn("stentor-inbox: no token:", error);
        this.#told(navigator.onLine ? "error" : "offline", navigator.onLine ? "token" : undefined);
        await new Promise((done) => setTimeout(done, pause * (0.5 + Math.random())));
        if (start !== this.#starting) return;
      }
    }
  }

  /** Brings back what was kept of an inbox; its name is that of app and recipient. */
  #recall(name: string | undefined): void {
    if (!name || this.#store?.name === name) return;
    this.#store = new Store(name, this.#options.cache ?? true, this.#alias);
    this.#known = this.#store.load();
    this.#pending = this.#store.queue();
    this.#changed();
  }

  #lead(): void {
    if (this.#connection || !this.#sharing) return;
    this.#connection = new Connection(this.#rest, this.#tokens, {
      cursor: () => this.#known.cursor,
      frame: (frame) => {
        this.#took(frame);
        this.#sharing?.tell({ frame });
      },
      status: (status, problem) => {
        this.#told(status, problem);
        this.#sharing?.tell({ status, problem });
      },
    });
    this.#connection.start();
  }

  #follow(): void {
    this.#connection?.stop();
    this.#connection = undefined;
  }

  #told(status: Status, problem?: Problem): void {
    this.#status = status;
    this.#problem = problem;
    this.#changed();
    if (status !== "live") return;
    if (this.#known.stale) this.#readAnew();
    void this.#flush();
  }

  #took(frame: ServerFrame): void {
    const before = this.#known;
    this.#known = after(before, frame);
    if (this.#known === before) return;
    this.#store?.save(() => this.#known);
    if (frame.type === "item" && !before.items[frame.item.id]) this.dispatchEvent(new CustomEvent("item", { detail: frame.item }));
    if (frame.type === "state" && frame.change === "updated") this.dispatchEvent(new CustomEvent("updated", { detail: frame.ids }));
    if (this.#known.stale) this.#readAnew();
    this.#changed();
  }

  #changed(): void {
    this.dispatchEvent(new Event("change"));
  }

  // --- asking ---

  #ask(command: Command): Promise<ServerFrame> {
    return this.#sharing ? this.#sharing.ask(command) : Promise.reject(new Broken());
  }

  /** Loads a page; without `next` the first one anew. One at a time for each list. */
  #list(category: string, next?: string): Promise<void> {
    const running = this.#loading.get(category);
    if (running) return running;
    const have = this.#known.lists[category]?.ids.length ?? 0;
    const limit = next === undefined ? Math.min(Math.max(have, PAGE), 100) : PAGE;
    const load = async () => {
      const of = category === ARCHIVED ? { archived: true } : { category: category || undefined };
      const frame = await this.#ask({ type: "list", after: next, limit, ...of });
      if (frame.type !== "page") throw new Broken();
      if (next !== undefined && this.#known.lists[category]?.next !== next) return; // the list began anew meanwhile
      this.#known = paged(this.#known, category, frame, next === undefined);
      this.#store?.save(() => this.#known);
    };
    const loading = load().finally(() => {
      this.#loading.delete(category);
      this.#changed();
    });
    this.#loading.set(category, loading);
    return loading;
  }

  /** The server could not say all that happened: what is shown is read again. Tabs read what they show, each for itself. */
  #readAnew(): void {
    if (this.#status !== "live") return;
    for (const [category, { next }] of Object.entries(this.#known.lists)) {
      if (category !== ALL && next === undefined) continue;
      const list = () => this.#list(category).catch(() => {});
      // What was being loaded already may be lost, or older: then once more.
      void list().then(() => (this.#known.stale ? list() : undefined));
    }
  }

  // --- changing ---

  #change(type: "read" | "unread" | "archive" | "unarchive", ids: string[]): void {
    for (let i = 0; i < ids.length; i += MAX_IDS) this.#enqueue({ type, ids: ids.slice(i, i + MAX_IDS) });
  }

  #enqueue(change: Change): void {
    const queued: Queued = { key: `${Date.now()}-${Math.random()}`, change };
    this.#store?.enqueue(queued);
    this.#pending = [...this.#pending, queued];
    this.#changed();
    void this.#flush();
  }

  /** Sends what waits, in order. All of it may be said twice. */
  async #flush(): Promise<void> {
    if (this.#flushing || this.#status !== "live") return;
    this.#flushing = true;
    try {
      for (let queued; (queued = this.#pending[0]); ) {
        try {
          if (this.#store?.waits(queued) ?? true) await this.#ask(queued.change);
        } catch (error) {
          if (!(error instanceof Refused)) {
            setTimeout(() => void this.#flush(), AGAIN_AFTER); // the connection broke: once it is back
            return;
          }
          this.dispatchEvent(new CustomEvent("refused", { detail: error }));
        }
        const { key } = queued;
        this.#pending = this.#pending.filter((other) => other.key !== key);
        this.#store?.dequeue(key);
        this.#changed();
      }
    } finally {
      this.#flushing = false;
    }
  }
}

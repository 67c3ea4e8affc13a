// What a browser keeps of an inbox while the page is closed: the last page, and changes that did not reach the server yet.
import type { Change } from "./frames.js";
import { ALL, type Known, nothing } from "./state.js";

/** The most items that are kept. */
const KEPT = 60;

/** A change that waits for the server. */
export interface Queued {
  key: string;
  change: Change;
  /** True if it stands in the storage, where other tabs see it. */
  kept?: boolean;
}

export class Store {
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `alias` is what the page calls it, who does not know the app. */
  constructor(readonly name: string, private readonly on: boolean, private readonly alias?: string) {}

  /** What the page's name for it stood for the last time. */
  static known(alias?: string): string | undefined {
    try {
      return (alias && localStorage.getItem(alias)) || undefined;
    } catch {
      return undefined;
    }
  }

  /** Remembers what the page's name stands for. */
  claim(): void {
    if (this.alias && this.on) put(this.alias, this.name);
  }

  load(): Known {
    const kept = this.#read<Known>("page");
    return kept?.cursor ? { ...nothing(), ...kept } : nothing();
  }

  /** Keeps the first page, a moment later: much may happen at once. */
  save(known: () => Known): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#write("page", trimmed(known()));
    }, 500);
  }

  queue(): Queued[] {
    return this.#read<Queued[]>("queue") ?? [];
  }

  /** All tabs write the same queue, each its own changes. */
  enqueue(queued: Queued): void {
    queued.kept = this.#write("queue", [...this.queue(), { ...queued, kept: true }]);
  }

  /** False if another tab has done it meanwhile. */
  waits({ key, kept }: Queued): boolean {
    return !kept || this.queue().some((queued) => queued.key === key);
  }

  dequeue(key: string): void {
    this.#write("queue", this.queue().filter((queued) => queued.key !== key));
  }

  forget(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      for (const key of [`${this.name}:page`, `${this.name}:queue`, this.alias ?? ""]) localStorage.removeItem(key);
    } catch { /* storage is forbidden: nothing was kept */ }
  }

  #read<T>(what: string): T | undefined {
    try {
      return this.on ? (JSON.parse(localStorage.getItem(`${this.name}:${what}`) ?? "null") ?? undefined) : undefined;
    } catch {
      return undefined;
    }
  }

  #write(what: string, value: unknown): boolean {
    return this.on && put(`${this.name}:${what}`, JSON.stringify(value));
  }
}

function put(key: string, text: string): boolean {
  try {
    localStorage.setItem(key, text);
    return true;
  } catch {
    return false; // storage is full or forbidden: the page works without
  }
}

function trimmed({ unread, cursor, items, lists }: Known): Known {
  const all = lists[ALL] ?? { ids: [] };
  const ids = all.ids.slice(0, KEPT);
  // A list that was cut goes on where only the server knows.
  const whole = ids.length === all.ids.length;
  const kept = Object.fromEntries(ids.flatMap((id) => (items[id] ? [[id, items[id]]] : [])));
  return { unread, cursor, items: kept, lists: { [ALL]: { ids, next: whole ? all.next : undefined } }, stale: !whole };
}

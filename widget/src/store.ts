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

  constructor(private readonly name: string, private readonly on: boolean) {}

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
      for (const what of ["page", "queue"]) localStorage.removeItem(`${this.name}:${what}`);
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
    try {
      if (this.on) localStorage.setItem(`${this.name}:${what}`, JSON.stringify(value));
      return this.on;
    } catch {
      return false; // storage is full or forbidden: the page works without
    }
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

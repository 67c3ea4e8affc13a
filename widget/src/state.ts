// What is known of an inbox, and how each frame changes it. Pure: the same frames make the same state in every tab.
import type { Change, Item, Page, ServerFrame } from "./frames.js";

/** The list of all; others are named by their category. */
export const ALL = "";
/** The list of what was archived. A category is one line, and this is a line break. */
export const ARCHIVED = "\n";

/** One list: what was loaded of it, newest first, and where older items go on. */
export interface List {
  ids: string[];
  /** `null` at the end; undefined if it was never loaded. */
  next?: string | null;
}

/** What is known of an inbox. */
export interface Known {
  /** The server's absolute count; undefined until it said one. */
  unread?: number;
  /** Where the last frame left us. */
  cursor?: string;
  items: Record<string, Item>;
  lists: Record<string, List>;
  /** True if the lists must be read anew: the server could not say all that happened. */
  stale: boolean;
}

export const nothing = (): Known => ({ items: {}, lists: { [ALL]: { ids: [] } }, stale: false });

/** Changes by which items leave the inbox, and what a person asks for that. */
const LEFT = ["archived", "expired", "recalled", "removed", "archive"];

/** The newer one; of the same revision the one that we have, which may know of a later `state`. */
const newer = (known: Item | undefined, told: Item): Item => (known && known.rev >= told.rev ? known : told);

function drop(known: Known, ids: string[]): Known {
  const gone = new Set(ids);
  const items = Object.fromEntries(Object.entries(known.items).filter(([id]) => !gone.has(id)));
  const lists = mapped(known.lists, (list) => ({ ...list, ids: list.ids.filter((id) => !gone.has(id)) }));
  return { ...known, items, lists };
}

const mapped = (lists: Record<string, List>, change: (list: List, name: string) => List) =>
  Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, change(list, name)]));

/** An item that is new, or was changed. */
function put(known: Known, item: Item): Known {
  const before = known.items[item.id];
  if (before?.archived_at && !item.archived_at) return put(drop(known, [item.id]), item); // it was put back
  const items = { ...known.items, [item.id]: newer(before, item) };
  if (before) return { ...known, items };
  const newest = known.items[known.lists[ALL]?.ids[0] ?? ""];
  // One that is older than the newest came back, or was written late: where it stands, only the server knows.
  const stale = known.stale || (newest !== undefined && item.created_at < newest.created_at);
  const lists = mapped(known.lists, (list, name) =>
    name === ALL || name === item.category ? { ...list, ids: [item.id, ...list.ids] } : list);
  return { ...known, items, lists, stale };
}

/** A page of `name`, which goes on after what was loaded, or begins anew. */
export function paged(known: Known, name: string, page: Pick<Page, "items" | "next">, anew: boolean): Known {
  const items = { ...known.items };
  for (const item of page.items) items[item.id] = newer(items[item.id], item);
  const before = anew ? [] : (known.lists[name]?.ids ?? []);
  const ids = [...new Set([...before, ...page.items.map((item) => item.id)])];
  const lists = { ...known.lists, [name]: { ids, next: page.next } };
  return { ...known, items, lists, stale: known.stale && !(anew && name === ALL) };
}

/** What is known after a frame. */
export function after(known: Known, frame: ServerFrame): Known {
  // The count is always the server's, and only a frame moves the cursor.
  if ("cursor" in frame) known = { ...known, unread: frame.unread, cursor: frame.cursor };
  switch (frame.type) {
    case "welcome":
      if (!frame.recovered) return paged({ ...nothing(), unread: frame.unread, cursor: frame.cursor }, ALL, { items: frame.items, next: frame.next ?? null }, true);
      known = frame.items.reduce(put, known);
      return frame.removed.length ? changed(known, "removed", frame.removed) : known;
    case "item":
      return put(known, frame.item);
    case "content": {
      const { body_html: _html, body_text: _text, articles: _articles, ...item } = frame.item;
      return known.items[item.id] ? { ...known, items: { ...known.items, [item.id]: newer(known.items[item.id], item) } } : known;
    }
    case "state":
      return changed(known, frame.change, frame.ids, frame.items);
    case "resync":
      return { ...known, stale: true };
    default:
      return known;
  }
}

/** What will be known once a change is made that waits. The count is never foreseen: it is the server's. */
export const foreseen = (known: Known, change: Change): Known =>
  change.type === "read_all" ? changed(known, "read", Object.keys(known.items))
  : change.type === "unarchive" ? drop(known, change.ids) // where it stands in the inbox, only the server knows
  : changed(known, change.type, change.ids);

function changed(known: Known, change: string, ids: string[], updated: Item[] = []): Known {
  if (change === "unarchived") return { ...drop(known, ids), stale: true };
  if (LEFT.includes(change)) {
    const left = drop(known, ids);
    if (change !== "archived" && change !== "removed") return left;
    // It may stand in the other list now, which is loaded anew where it is looked at. After a while away all is `removed`.
    return { ...left, lists: { ...left.lists, [ARCHIVED]: { ids: left.lists[ARCHIVED]?.ids ?? [] } } };
  }
  if (change === "updated") return updated.reduce(put, known);
  if (change !== "read" && change !== "unread") return known;
  const items = { ...known.items };
  const now = new Date().toISOString();
  for (const id of ids) {
    const item = items[id];
    if (item) items[id] = { ...item, read_at: change === "read" ? (item.read_at ?? now) : undefined };
  }
  return { ...known, items };
}

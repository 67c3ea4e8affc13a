// The frames of the subprotocol `stentor.v1`, as crates/api/src/realtime/frame.rs has them.

/** The subprotocol's name. */
export const PROTOCOL = "stentor.v1";

/** A button of an item. */
export interface Action {
  label: string;
  url: string;
}

/** A picture. */
export interface Image {
  url: string;
  alt?: string;
}

/** One of several stories that an item brings along. */
export interface Article {
  title: string;
  summary?: string;
  image?: Image;
  link?: string;
}

/** An item of the inbox: its title card, and what was done with it. */
export interface Item {
  id: string;
  title: string;
  summary?: string;
  image?: Image;
  link?: string;
  actions?: Action[];
  category?: string;
  priority: string;
  created_at: string;
  expires_at?: string;
  seen_at?: string;
  read_at?: string;
  archived_at?: string;
  rev: number;
}

/** An item that was opened. `body_html` is sanitised by the server. */
export interface OpenedItem extends Item {
  body_html: string;
  body_text: string;
  /** Stories that it brings along, shown below the body. */
  articles?: Article[];
}

/** What a person wants to receive; what is not named is on. */
export interface Preferences {
  channels?: Record<string, boolean>;
  categories?: Record<string, Record<string, boolean>>;
}

/** Something to be done with items. All of these may be said twice without harm. */
export type Change =
  | { type: "read" | "unread" | "archive" | "unarchive"; ids: string[] }
  | { type: "read_all"; cursor?: string };

/** Something to be looked up. */
export type Question =
  | { type: "open"; id: string }
  | { type: "list"; after?: string; limit?: number; category?: string; archived?: boolean }
  | { type: "ping" };

/** What a client asks for, once it is welcomed. */
export type Command = Change | Question;

interface Counted {
  unread: number;
  cursor: string;
}

export interface Welcome extends Counted {
  type: "welcome";
  recipient: string;
  recovered: boolean;
  items: Item[];
  removed: string[];
  next?: string;
}
export interface State extends Counted {
  type: "state";
  ref?: string;
  ids: string[];
  change: string;
  items?: Item[];
}
export interface Page {
  type: "page";
  ref?: string;
  items: Item[];
  next: string | null;
}
export interface Content {
  type: "content";
  ref?: string;
  item: OpenedItem;
}
export interface Failure {
  type: "error";
  ref?: string;
  code: string;
  message: string;
}
export interface Bye {
  type: "bye";
  reason: string;
  reconnect_after_ms: number;
}
export type ServerFrame =
  | Welcome
  | ({ type: "item"; item: Item } & Counted)
  | State
  | Content
  | Page
  | ({ type: "resync" } & Counted)
  | { type: "ok"; ref?: string; expires_at?: string }
  | { type: "pong"; ref?: string }
  | Failure
  | Bye;

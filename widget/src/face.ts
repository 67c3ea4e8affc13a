// What a page may say to `<stentor-inbox>` and ask of it: its type, without what it is built on.
import type { StentorInbox } from "./inbox.js";
import type { TokenProvider } from "./tokens.js";
import type { Words } from "./words/en.js";

/** The element `<stentor-inbox>`. Each property is an attribute as well, but for `tokenProvider`. */
export interface StentorInboxElement extends HTMLElement {
  /** Where Stentor is; where this module came from if absent. */
  url?: string;
  /** A URL of the page's own origin that answers `{"token": …}` to whoever is signed in. */
  tokenUrl?: string;
  /** Instead of `token-url`: gives a fresh token. */
  tokenProvider?: TokenProvider;
  /** Whose inbox it is, if the page knows: then what was kept is shown at once, and offline. */
  recipient?: string;
  /** `bell` (a button with a popover), `panel` (fills its place) or `page` (list and content side by side). */
  variant: "bell" | "panel" | "page";
  /** The language; that of the page around it if absent. */
  locale?: string;
  /** Words that are stronger than those that are shipped; as an attribute, JSON. */
  words?: Partial<Words>;
  /** Tabs: `billing:Bills, news:News`. Empty: none. Absent: the categories that were seen, if there are several. */
  categories?: string;
  /** Whether the popover is open. */
  open: boolean;
  /** Shows what comes in a corner of the page for a moment. */
  toasts: boolean;
  /** Makes a sound when something comes. */
  sound: boolean;
  /** Puts the count before the page's title. */
  titleBadge: boolean;
  /** The URL of an icon for the page while something is unread; empty: a dot is drawn (needs `img-src data:`). */
  faviconBadge?: string;
  /** Keeps nothing in the browser's storage. */
  noCache: boolean;
  /** A connection of its own for every tab. */
  noShare: boolean;
  /** What is behind it; undefined until the page says where tokens come from. */
  readonly inbox: StentorInbox | undefined;
  /** Opens the popover. */
  show(): void;
  /** Closes the popover. */
  close(): void;
  /** Opens an item: its content is loaded, and it is read. */
  openItem(id: string): Promise<void>;
}

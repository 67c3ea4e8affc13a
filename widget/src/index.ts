// What the module gives: the element, which it registers, and the client behind it.
import { InboxElement } from "./element.js";
import type { StentorInboxElement as Face } from "./face.js";

export type { Problem, Status } from "./connection.js";
export type { Action, Article, Image, Item, OpenedItem, Preferences } from "./frames.js";
export { StentorInbox, type InboxOptions } from "./inbox.js";
export { ARCHIVED } from "./state.js";
export type { TokenProvider } from "./tokens.js";
export type { Words } from "./words/en.js";

/** The element's class. Its type names nothing that the package does not bring along. */
export type StentorInboxElement = Face;
export const StentorInboxElement: { new (): StentorInboxElement; prototype: StentorInboxElement } = InboxElement;

// Two copies of the module may come to one page; the first one stays.
if (!customElements.get("stentor-inbox")) customElements.define("stentor-inbox", InboxElement);

declare global {
  interface HTMLElementTagNameMap {
    "stentor-inbox": StentorInboxElement;
  }
}

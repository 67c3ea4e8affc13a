// What the module gives: the element, which it registers, and the client behind it.
import { StentorInboxElement } from "./element.js";

export type { Problem, Status } from "./connection.js";
export type { Action, Item, OpenedItem, Preferences } from "./frames.js";
export { StentorInbox, type InboxOptions } from "./inbox.js";
export type { TokenProvider } from "./tokens.js";
export type { Words } from "./words/en.js";
export { StentorInboxElement };

// Two copies of the module may come to one page; the first one stays.
if (!customElements.get("stentor-inbox")) customElements.define("stentor-inbox", StentorInboxElement);

declare global {
  interface HTMLElementTagNameMap {
    "stentor-inbox": StentorInboxElement;
  }
}

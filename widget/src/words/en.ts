// The words in English; the other languages have the same ones.

/** A word for each plural form that a language has (Intl.PluralRules); `{n}` is the number. */
export type Plural = { other: string } & Partial<Record<Intl.LDMLPluralRule, string>>;

export interface Words {
  title: string;
  unread: Plural;
  /** Said before the title of an unread item, to those who hear the page. */
  isUnread: string;
  important: string;
  all: string;
  markAllRead: string;
  markRead: string;
  markUnread: string;
  archive: string;
  archived: string;
  unarchive: string;
  unarchived: string;
  undo: string;
  back: string;
  close: string;
  open: string;
  empty: string;
  emptyMore: string;
  emptyArchived: string;
  loading: string;
  offline: string;
  /** With `{n}` changes that wait. */
  waiting: Plural;
  signedOut: string;
  forbidden: string;
  crowded: string;
  retry: string;
  cannotLoad: string;
  notDone: string;
  /** Said when `{title}` came. */
  came: string;
  preferences: string;
  everything: string;
  inbox: string;
  email: string;
  sms: string;
}

export const en: Words = {
  title: "Notifications",
  unread: { other: "{n} unread" },
  isUnread: "Unread",
  important: "Important",
  all: "All",
  markAllRead: "Mark all as read",
  markRead: "Mark as read",
  markUnread: "Mark as unread",
  archive: "Archive",
  archived: "Archived",
  unarchive: "Move to inbox",
  unarchived: "Moved to inbox",
  undo: "Undo",
  back: "Back",
  close: "Close",
  open: "Open",
  empty: "You are up to date",
  emptyMore: "What comes next is shown here.",
  emptyArchived: "Nothing is archived",
  loading: "Loading",
  offline: "No connection. What you see may have changed.",
  waiting: { one: "1 change is sent later.", other: "{n} changes are sent later." },
  signedOut: "You are signed out. Please sign in again.",
  forbidden: "This site may not show your notifications.",
  crowded: "Open in too many places. Please close some.",
  retry: "Try again",
  cannotLoad: "This cannot be loaded now.",
  notDone: "That did not work.",
  came: "New: {title}",
  preferences: "Preferences",
  everything: "Everything",
  inbox: "In the app",
  email: "Email",
  sms: "SMS",
};

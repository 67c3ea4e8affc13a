// What somebody writes who installed the package; checked against its types, and bundled.
import { type Item, StentorInbox, StentorInboxElement } from "stentor-inbox";

const inbox = new StentorInbox({ url: "https://notify.example.com", token: async () => ({ token: "…" }) });
const leave: () => void = inbox.subscribe(() => {
  const newest: Item | undefined = inbox.items()[0];
  console.log(inbox.status, inbox.unread, newest?.title);
});
inbox.open("id").then((item) => console.log(item.body_html, item.articles?.map((article) => article.link)));
leave();

const bell: StentorInboxElement = document.createElement("stentor-inbox");
bell.tokenUrl = "/inbox-token";
bell.variant = "page";
document.body.append(bell, new StentorInboxElement());

// @ts-expect-error: there is no such variant
bell.variant = "balloon";
// @ts-expect-error: a token must come from somewhere
new StentorInbox({});

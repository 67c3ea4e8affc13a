// Lists what was captured, newest first, and shows one message as its recipient gets it.
const $ = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child != null));
  return node;
};
const time = (at) => new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(at));
let known = "";

async function list() {
  const entries = await (await fetch("/outbox/list")).json();
  const print = entries.map((e) => e.kind + e.name).join();
  if (print === known) return;
  known = print;
  $("count").textContent = `${entries.length}`;
  $("empty").hidden = entries.length > 0;
  $("list").replaceChildren(...entries.map((entry) => make("li", {},
    make("button", { type: "button", className: "entry", onclick: () => show(entry) },
      make("span", { className: "tag", textContent: entry.kind }),
      make("span", { className: "text" }, make("strong", { textContent: entry.title || entry.text }), make("span", { className: "soft", textContent: `to ${entry.to}, ${time(entry.at)}` }))))));
}
/** Brings the message into view: on a phone it stands below the list. By its address, so that Back leads to the same place in the list. */
function bring() {
  const { top } = $("shown").getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) {
    location.hash = "shown";
    $("shown").scrollIntoView(); // the same address again moves nothing
  }
  $("title").focus({ preventScroll: true });
}
async function show(entry) {
  $("title").textContent = entry.title || `SMS to ${entry.to}`;
  if (entry.kind === "sms") {
    $("message").replaceChildren(make("div", { className: "body" }, make("pre", { textContent: entry.text })));
    return bring();
  }
  const url = `/outbox/mail/${encodeURIComponent(entry.name)}`;
  const mail = await (await fetch(url)).json();
  $("message").replaceChildren(
    make("div", { className: "body" }, make("div", {}, make("div", { textContent: `From ${mail.from}` }), make("div", { textContent: `To ${mail.to}` }), make("a", { href: `${url}/source`, textContent: "Source" }))),
    make("iframe", { src: `${url}/html`, title: "the mail" }),
    make("details", {}, make("summary", { textContent: "Plain text" }), make("div", { className: "body" }, make("pre", { textContent: mail.text }))));
  bring();
}
await list();
setInterval(list, 1500);

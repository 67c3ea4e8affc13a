// The demo's inbox: one WebSocket, the frames of stentor.v1, and nothing that the server did not say.
const $ = (id) => document.getElementById(id);
let items = []; // in the server's order, newest first; each as the server last told it
let session, socket, cursor, next = null, open = null, backoff = 500;

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child != null));
  return node;
};
const time = (text) => new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));
const send = (frame) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(frame));

function status(on, words) {
  $("dot").className = `dot ${on ? "on" : "off"}`;
  $("status").textContent = words;
}
function count(unread) {
  $("unread").textContent = unread;
  $("unread").dataset.n = unread;
  document.title = unread ? `(${unread}) Stentor demo` : "Stentor demo";
}
function draw() {
  $("items").replaceChildren(...items.map(entry));
  $("empty").hidden = items.length > 0;
  $("older").hidden = next === null;
}
function entry(item) {
  const picture = item.image ? make("img", { src: item.image.url, alt: item.image.alt ?? "" }) : make("span");
  const text = make("span", { className: "text" }, make("strong", { textContent: item.title }),
    item.summary ? make("span", { textContent: item.summary }) : null, make("span", { className: "soft", textContent: ` ${time(item.created_at)}` }));
  const button = make("button", { type: "button", className: `entry${item.read_at ? "" : " unread"}`, onclick: () => toggle(item.id) }, picture, text);
  button.setAttribute("aria-expanded", open?.id === item.id);
  const li = make("li", { id: `item-${item.id}` }, button);
  if (open?.id === item.id) {
    const body = make("div", { className: "open" });
    body.innerHTML = open.body_html; // sanitised by the server; scripts and styles are refused by this page's policy as well
    const act = (label, type, id) => make("button", { type: "button", textContent: label, onclick: () => send({ type, ids: [id] }) });
    li.append(body, make("div", { className: "open row" }, act("Mark unread", "unread", item.id), act("Archive", "archive", item.id),
      ...(item.actions ?? []).map((a) => make("a", { href: a.url, textContent: a.label, rel: "noopener", target: "_blank" }))));
  }
  return li;
}
function toggle(id) {
  if (open?.id === id) { open = null; draw(); } else send({ type: "open", ref: id, id });
}
const find = (id) => items.find((item) => item.id === id);
const drop = (ids) => { items = items.filter((item) => !ids.includes(item.id)); };
const put = (item) => { const known = find(item.id); if (known) Object.assign(known, { read_at: undefined }, item); else items.unshift(item); };
const append = (page) => page.forEach((item) => (find(item.id) ? put(item) : items.push(item)));

function received(frame) {
  if (frame.cursor) cursor = frame.cursor;
  if (frame.unread !== undefined) count(frame.unread);
  switch (frame.type) {
    case "welcome":
      if (frame.recovered) { frame.items.forEach(put); drop(frame.removed); } else { items = frame.items; next = frame.next ?? null; }
      backoff = 500;
      status(true, "live");
      break;
    case "item": put(frame.item); break;
    case "page": append(frame.items); next = frame.next; break;
    case "content": open = frame.item; put(frame.item); break;
    case "state":
      if (["archived", "expired", "removed", "recalled"].includes(frame.change)) drop(frame.ids);
      else if (frame.change === "unarchived") { items = []; send({ type: "list" }); }
      else if (frame.change === "updated") { frame.items.forEach(put); if (frame.ids.includes(open?.id)) send({ type: "open", ref: open.id, id: open.id }); }
      else if (frame.change !== "seen") for (const item of frame.ids.map(find).filter(Boolean)) item.read_at = frame.change === "unread" ? undefined : (item.read_at ?? new Date().toISOString());
      break;
    case "resync": items = []; send({ type: "list" }); break;
    case "bye": backoff = frame.reconnect_after_ms; break;
    case "error": status(true, frame.message); break;
  }
  draw();
}
async function connect() {
  try {
    session = await (await fetch("/demo/session")).json();
    $("who").textContent = session.recipient;
    socket = new WebSocket(new URL("/v1/inbox/ws", location.href.replace(/^http/, "ws")), "stentor.v1");
    socket.onopen = () => send({ type: "auth", token: session.token, cursor });
    socket.onmessage = (event) => received(JSON.parse(event.data));
    socket.onclose = again;
  } catch {
    again();
  }
}
function again() {
  status(false, "offline, trying again…");
  setTimeout(connect, backoff * (0.5 + Math.random()));
  backoff = Math.min(backoff * 2, 15000);
}
// A token is good for 15 minutes: renewed over the same socket before it runs out.
setInterval(async () => {
  if (socket?.readyState !== WebSocket.OPEN) return;
  session = await (await fetch("/demo/session")).json();
  send({ type: "auth", token: session.token });
}, 10 * 60 * 1000);

const form = $("send");
function request() {
  const { what, locale, title } = Object.fromEntries(new FormData(form));
  const audience = { recipients: [{ id: session?.recipient ?? "ada", locale }] };
  const due = new Date(Date.now() + 12 * 864e5).toISOString().slice(0, 10);
  switch (what) {
    case "card-repayment-due":
      return { audience, template: what, channels: ["inbox", "email", "sms"], data: { amount: { value: "1234.50", currency: "CNY" }, due_date: due, card: "6222" } };
    case "welcome": return { audience, template: what, channels: ["inbox", "email"], data: { name: "Ada" } };
    case "breaking-news": return { audience, template: what, data: { headline: "A new bridge opens today", summary: "The first train crossed at dawn.", image: { url: `${location.origin}/demo/picture.svg`, alt: "A bridge over a river at dawn" }, link: "https://example.com/news/bridge" } };
    default: return { audience, content: { title, body_markdown: "Written in the **demo**, with [a link](https://example.com)." } };
  }
}
function preview() {
  $("own-label").hidden = form.what.value !== "own";
  $("request").textContent = `POST /v1/notifications\n\n${JSON.stringify(request(), null, 2)}`;
}
form.addEventListener("input", preview);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const response = await fetch("/v1/notifications", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${session.api_key}`, "idempotency-key": crypto.randomUUID() },
    body: JSON.stringify(request()),
  });
  const answer = await response.json();
  $("sent").textContent = response.ok ? `${response.status} ${answer.status} ${answer.id}` : `${response.status} ${answer.detail}`;
});
$("read-all").addEventListener("click", () => send({ type: "read_all", cursor }));
$("older").querySelector("button").addEventListener("click", () => send({ type: "list", after: next }));
await connect();
preview();

// The demo: sends over the real API, shows two devices, and what left by mail and SMS.
const $ = (id) => document.getElementById(id);
const form = $("send");
const session = await (await fetch("/demo/session")).json();

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: { "content-type": "application/json", authorization: `Bearer ${session.api_key}`, "idempotency-key": crypto.randomUUID() },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  const answer = text ? JSON.parse(text) : {};
  if (!response.ok) throw new Error(answer.errors?.[0]?.detail ?? answer.detail ?? `${response.status}`);
  return answer;
}

/** The request, as a business system would write it. */
function request() {
  const fields = new FormData(form);
  const [what, to] = [fields.get("what"), fields.get("to")];
  const audience = to === "everyone" ? "everyone" : to === "topic" ? { topic: "football" } : { recipients: [to] };
  const due = new Date(Date.now() + 12 * 864e5).toISOString().slice(0, 10);
  const said = {
    "card-repayment-due": { template: what, data: { amount: { value: "1234.50", currency: "CNY" }, due_date: due, card: "6222", link: `${location.origin}/demo/bank` } },
    "breaking-news": { template: what, data: { headline: "A new bridge opens today", summary: "The first train crossed at dawn.", image: { url: `${location.origin}/demo/picture.svg`, alt: "A bridge over a river at dawn" }, link: `${location.origin}/demo/news`, paragraphs: ["Thousands came to see it. The river had been crossed by ferry for two hundred years."] } },
    "daily-digest": { template: what, data: { day: new Date().toISOString().slice(0, 10), link: `${location.origin}/demo/news`, stories: [
      { title: "A new bridge opens today", summary: "The first train crossed at dawn.", link: `${location.origin}/demo/news`, image: { url: `${location.origin}/demo/picture.svg`, alt: "A bridge over a river at dawn" } },
      { title: "Rain until Friday", summary: "Then a week of sun, the weather service says.", link: `${location.origin}/demo/news` },
    ] } },
    welcome: { template: what, data: { name: { ada: "Ada", everyone: "all of you" }[to] ?? "Ben" } },
    own: { content: { title: fields.get("title"), summary: "Written in the demo.", body_markdown: "Written in the **demo**." } },
  }[what];
  return { audience, ...said, channels: fields.getAll("channel") };
}

function preview() {
  form.querySelector("#own").hidden = form.what.value !== "own";
  $("request").textContent = `POST /v1/notifications\n\n${JSON.stringify(request(), null, 2)}`;
}

function devices() {
  const locale = form.locale.value;
  const show = (frame, page) => {
    if (frame.getAttribute("src") !== page) frame.src = page;
  };
  show($("laptop"), `/demo/bank?person=ada&locale=${locale}`);
  show($("phone"), `/demo/news?person=${$("whose").value}&locale=${locale}&device=phone`);
}

/** In which language people are written to is theirs, not the sender's. One choice after the other, so that the last one stays. */
let spoken = Promise.resolve();
function speak() {
  spoken = spoken.then(async () => {
    const { value: locale } = form.locale;
    const ben = { email: "ben@example.com", phone: "+4915112345678", attributes: { name: "Ben" } };
    await Promise.all([call("PUT", "/v1/recipients/ada", { locale }), call("PUT", "/v1/recipients/ben", { ...ben, locale })]);
  });
  return spoken;
}

// --- what became of it ---

const CHANNELS = { inbox: "in the app", email: "mail", sms: "SMS" };
const LEFT = ["sent", "delivered", "unknown", "bounced"];
const WHY = {
  suppressed: "the address is suppressed", preference: "they do not want it", no_address: "no address is known",
  invalid_address: "the address is none", throttled: "as much was sent today as is allowed",
};

/** What became of a notification on a channel, in words. */
function fate(channel, { counts, error, deliveries, done, toMany }) {
  const states = Object.entries(counts[channel] ?? {});
  if (states.length === 0 && !done) return "on its way";
  if (states.length === 0) return error ?? (channel === "inbox" && toMany ? "written, once for all" : "nobody to send to");
  return states.map(([state, n]) => {
    const reasons = deliveries.filter((d) => d.channel === channel && d.state === state && d.reason).map((d) => WHY[d.reason] ?? d.reason);
    return [n > 1 || states.length > 1 ? `${n} ${state}` : state, [...new Set(reasons)].join(" or ")].filter(Boolean).join(", ");
  }).join("; ");
}

/** Says it below the form, and above an older mail or SMS that is still shown because none left. */
function tell(story, channels, seen) {
  const lines = channels.map((channel) => `${CHANNELS[channel]}: ${fate(channel, seen)}`);
  const said = [...$("fates").children].map((line) => line.textContent);
  if (lines.join() !== said.join()) $("fates").replaceChildren(...lines.map((textContent) => Object.assign(document.createElement("li"), { textContent })));
  $("story").href = story;
  $("became").hidden = false;
  for (const [channel, name] of [["email", "mail"], ["sms", "sms"]]) {
    const none = seen.done && channels.includes(channel) && !LEFT.some((state) => seen.counts[channel]?.[state]);
    const earlier = $(`no-${name}`).hidden ? " What is below is earlier." : "";
    const words = `The last message sent no ${CHANNELS[channel]}: ${fate(channel, seen)}.${earlier} `;
    $(`${name}-note`).hidden = !none;
    $(`${name}-note`).replaceChildren(...(none ? [words, Object.assign(document.createElement("a"), { href: story, textContent: "Its story" })] : []));
  }
}

/** Watches the newest notification until all of it is settled, or for a few seconds: the story goes on in the console. */
let followed;
async function follow(id, { audience, channels }) {
  followed = id;
  const [path, until] = [`/v1/notifications/${id}`, performance.now() + 8_000];
  const story = `/console/notifications/${id}?app=${session.app}`;
  let seen = { counts: {}, deliveries: [], done: false };
  tell(story, channels, seen);
  while (!seen.done && performance.now() < until) {
    await new Promise((later) => setTimeout(later, 150));
    const [{ status, counts, error }, { items: deliveries }] = await Promise.all([call("GET", path), call("GET", `${path}/deliveries?limit=100`)]);
    if (followed !== id) return;
    seen = { counts, error, deliveries, done: ["completed", "cancelled"].includes(status), toMany: !audience.recipients };
    tell(story, channels, seen);
  }
  await captured();
}

form.addEventListener("input", preview);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  followed = undefined;
  try {
    await spoken;
    const began = performance.now();
    const wanted = request();
    const { id, status } = await call("POST", "/v1/notifications", wanted);
    $("sent").textContent = `${status} in ${Math.round(performance.now() - began)} ms`;
    await follow(id, wanted);
  } catch (error) {
    $("sent").textContent = error.message;
    $("became").hidden = followed === undefined;
  }
});
form.locale.addEventListener("change", async () => {
  await speak();
  devices();
});
$("whose").addEventListener("change", devices);

// --- mail and SMS ---

let known = "";
async function captured() {
  const entries = await (await fetch("/outbox/list")).json();
  const print = entries.map((entry) => entry.kind + entry.name).join();
  if (print === known) return;
  known = print;
  const of = (kind) => entries.filter((entry) => entry.kind === kind);
  const [mail] = of("mail");
  $("no-mail").hidden = mail !== undefined;
  $("mail").hidden = mail === undefined;
  if (mail) {
    $("mail-to").textContent = `${mail.title}, to ${mail.to}`;
    $("mail").src = `/outbox/mail/${encodeURIComponent(mail.name)}/html`;
  }
  const texts = of("sms").slice(0, 4);
  $("no-sms").hidden = texts.length > 0;
  $("sms-to").textContent = texts[0] ? `to ${texts[0].to}` : "";
  $("sms").replaceChildren(...texts.map(({ text, at }) => {
    const bubble = Object.assign(document.createElement("li"), { dir: "auto" });
    const time = Object.assign(document.createElement("time"), { dateTime: new Date(at).toISOString(), textContent: new Intl.DateTimeFormat(undefined, { timeStyle: "short" }).format(at) });
    bubble.append(text, time);
    return bubble;
  }));
}

const own = navigator.languages.map((language) => language.slice(0, 2)).find((language) => ["en", "zh", "de", "ar"].includes(language));
form.locale.value = own === "zh" ? "zh-CN" : (own ?? "en");
preview();
await speak();
await call("PUT", "/v1/topics/football/recipients/ben", {});
devices();
await captured();
setInterval(captured, 1500);

// What a person does with the inbox, and what they see of it.
import type { Locator } from "@playwright/test";

import { expect, expectAccessible, test } from "../src/fixtures.ts";
import { POLICY } from "../src/host.ts";
import { picture } from "../src/pictures.ts";
import { card, element, hurry, live, shown, titles, tool } from "../src/widget.ts";

test("the bell counts, opens, shows what is in it, and marks it read", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "The first one", { summary: "In short", body_markdown: "All of **it**." });
  await page.goto(host.inboxPage("/bell", `<stentor-inbox token-url="/token?for=${person}"></stentor-inbox>`));
  const bell = page.getByRole("button", { name: "Notifications, 1 unread" });
  await expect(bell).toBeVisible();
  await stentor.say(person, "The second one");
  await page.getByRole("button", { name: "Notifications, 2 unread" }).click();
  await expect(page.getByRole("dialog", { name: "Notifications" })).toBeFocused();
  await expect(titles(page)).toHaveText(["Unread: The second one", "Unread: The first one"]);
  await expectAccessible(page);
  await card(page, "The first one").click();
  await expect(element(page).locator(".content strong")).toHaveText("it");
  await expect(page.getByText("1 unread", { exact: true })).toBeVisible();
  expect(await stentor.unread(person)).toBe(1);
  await expect(element(page).locator("[aria-live], [role=status], [role=alert], [role=log]"), "the one region that speaks").toHaveCount(1);
});

test("a bell in the header of a page is no second banner", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "At the top");
  await page.goto(host.page("/header", `<!doctype html><html lang="en"><head><title>A site</title><link rel="icon" href="/picture.svg">
<script type="module" src="/widget/v1/stentor-inbox.js"></script></head>
<body><header><stentor-inbox token-url="/token?for=${person}"></stentor-inbox></header><main><h1>A site</h1></main></body></html>`));
  await page.getByRole("button", { name: "Notifications, 1 unread" }).click();
  await expect(titles(page)).toHaveCount(1);
  await expectAccessible(page);
});

test("content is loaded when an item is opened, and not before", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "A card", { summary: "In short", body_markdown: "The whole story." });
  let told = "";
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => (told += payload)));
  await page.goto(host.inboxPage("/lazy", `<stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox>`));
  await expect(titles(page)).toHaveText([/A card/]);
  await stentor.say(person, "Another", { body_markdown: "The other story." });
  await expect(titles(page)).toHaveText([/Another/, /A card/]);
  expect(told).toContain("In short");
  expect(told).not.toContain("story.");
  await card(page, "A card").click();
  await expect(element(page).locator(".content")).toHaveText("The whole story.");
  expect(told).not.toContain("The other story.");
});

test("the bell closes what it opened, and so does a click elsewhere", async ({ page, host, person }) => {
  await page.goto(host.inboxPage("/toggle", `<stentor-inbox token-url="/token?for=${person}"></stentor-inbox>`));
  const [bell, box] = [element(page).locator(".bell"), page.getByRole("dialog")];
  await bell.click();
  await expect(box).toBeFocused();
  await bell.click();
  await expect(bell).toHaveAttribute("aria-expanded", "false");
  await expect(box).toHaveCount(0);
  await expect(bell).toBeFocused();
  await bell.click();
  await expect(box).toBeVisible();
  await page.locator("h1").click();
  await expect(box).toHaveCount(0);
});

test("a page's own function gives the tokens, each time that one is needed", async ({ page, host, stentor, person }) => {
  host.page("/provider.js", `
    let given = 0;
    document.querySelector("stentor-inbox").tokenProvider = async () => {
      document.title = "given " + (given += 1);
      return (await (await fetch("/token?for=${person}")).json()).token;
    };`, "text/javascript");
  host.tokenLife = 4;
  await page.goto(host.inboxPage("/provider", `<stentor-inbox variant="panel"></stentor-inbox><script type="module" src="/provider.js"></script>`));
  await live(page);
  await expect(page).toHaveTitle("given 2", { timeout: 15_000 });
  await stentor.say(person, "for this one");
  await expect(titles(page)).toHaveText([/for this one/]);
});

test("a page's own colours, shapes and parts are taken", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "In your colours");
  host.page("/own.css", "stentor-inbox { --stentor-alert: rgb(90, 20, 120); --stentor-radius: 3px } stentor-inbox::part(bell) { outline: 4px solid rgb(1, 2, 3) }", "text/css");
  const markup = `<stentor-inbox token-url="/token?for=${person}" theme="dark"></stentor-inbox>`;
  await page.goto(host.inboxPage("/own", markup, `<link rel="stylesheet" href="/own.css">`));
  const bell = element(page).locator(".bell");
  await expect(element(page).locator(".badge")).toHaveCSS("background-color", "rgb(90, 20, 120)");
  await expect(bell).toHaveCSS("outline-color", "rgb(1, 2, 3)");
  await bell.click();
  const box = element(page).locator(".box");
  await expect(box).toHaveCSS("border-radius", "3px");
  await expect(box, "dark, whatever the system is").toHaveCSS("color-scheme", "dark");
});

test("who wants less motion sees none", async ({ newBrowser, host, stentor, person }) => {
  await stentor.say(person, "Still");
  const moves = async (reducedMotion: "reduce" | "no-preference") => {
    const page = await (await newBrowser({ reducedMotion })).newPage();
    await page.goto(host.inboxPage(`/motion-${reducedMotion}`, `<stentor-inbox token-url="/token?for=${person}"></stentor-inbox>`));
    await element(page).locator(".bell").click();
    await page.getByRole("button", { name: "Preferences" }).click();
    await expect(page.getByRole("switch").first()).toBeVisible();
    return element(page).evaluate((node) => {
      const all = [...node.shadowRoot!.querySelectorAll("*")].flatMap((part) => [getComputedStyle(part), getComputedStyle(part, "::after")]);
      return all.filter((style) => style.animationName !== "none" || style.transitionDuration.split(", ").some((time) => parseFloat(time) > 0)).length;
    });
  };
  expect(await moves("no-preference")).toBeGreaterThan(0);
  expect(await moves("reduce")).toBe(0);
});

test("all of it by keyboard, and focus comes back", async ({ page, host, stentor, person }) => {
  for (const title of ["one", "two", "three"]) await stentor.say(person, title, { body_markdown: "…" });
  await page.goto(host.inboxPage("/keys", `<stentor-inbox token-url="/token?for=${person}" categories=""></stentor-inbox><p><a href="#x">after it</a></p>`));
  await expect(page.getByRole("button", { name: "Notifications, 3 unread" })).toBeVisible();
  const { keyboard } = page;
  const focused = () => page.evaluate(() => {
    const inside = document.activeElement?.shadowRoot?.activeElement;
    return (inside?.getAttribute("aria-label") ?? inside?.textContent ?? document.activeElement?.textContent)?.trim().replace(/\s+/g, " ");
  });
  await keyboard.press("Tab");
  expect(await focused()).toBe("Notifications, 3 unread");
  await keyboard.press("Enter");
  for (const name of ["Notifications", "Mark all as read", "Archived", "Preferences", "Close"]) {
    await expect.poll(focused).toBe(name);
    await keyboard.press("Tab");
  }
  await expect.poll(focused).toContain("three");
  await keyboard.press("ArrowDown");
  await expect.poll(focused).toContain("two");
  await keyboard.press("End");
  await expect.poll(focused).toContain("one");
  await keyboard.press("Enter");
  await expect.poll(focused).toBe("one"); // its heading
  await keyboard.press("Escape");
  await expect.poll(focused).toContain("one"); // its card
  await keyboard.press("Tab");
  await expect.poll(focused).toBe("Mark as unread: one");
  await keyboard.press("Tab");
  await keyboard.press("Enter"); // archive
  await expect(element(page).getByRole("status")).toHaveText("Archived");
  await expect.poll(focused).toContain("two");
  await keyboard.press("Escape");
  await expect.poll(focused).toBe("Notifications, 2 unread");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  // who tabs out of it leaves it
  await keyboard.press("Enter");
  await page.getByRole("link", { name: "after it" }).focus();
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("what was archived is found again, opened, and put back", async ({ page, host, stentor, person }) => {
  for (const title of ["one", "two", "three"]) await stentor.say(person, title, { body_markdown: `All of ${title}.` }, { category: "news" });
  await page.goto(host.inboxPage("/archived", `<stentor-inbox token-url="/token?for=${person}" categories="news:The news"></stentor-inbox>`));
  await element(page).locator(".bell").click();
  const [look, heading] = [page.getByRole("button", { name: "Archived", exact: true }), element(page).getByRole("heading", { level: 2 })];
  await look.click();
  await expect(heading).toHaveText("Archived");
  await expect(element(page).locator(".empty")).toHaveText("Nothing is archived");
  await expectAccessible(page);
  await look.click();
  await expect(heading).toHaveText("Notifications");
  for (const title of ["two", "one"]) {
    await card(page, title).hover();
    await tool(page, "Archive", title).click();
  }
  await expect(titles(page)).toHaveText([/three/]);

  await look.click();
  await expect(titles(page), "in the order in which they came").toHaveText([/two/, /one/]);
  await expect(element(page).getByRole("tab")).toHaveCount(0);
  await expect(card(page, "two").locator(".meta")).toContainText("The news");
  await expectAccessible(page);
  await picture(page, "inbox-put-away");
  await card(page, "one").click();
  await expect(element(page).locator(".content")).toHaveText("All of one.");
  await expect(page.getByRole("button", { name: "Mark as unread", exact: true })).toHaveCount(0);
  await page.getByRole("button", { name: "Move to inbox", exact: true }).click();
  await expect(element(page).getByRole("status")).toHaveText("Moved to inbox");
  await expect(titles(page)).toHaveText([/two/]);
  // What is archived elsewhere meanwhile is seen here.
  const { token } = await stentor.api("POST", `/v1/recipients/${person}/token`, {});
  const elsewhere = async (method: string, path: string) =>
    (await fetch(stentor.url + path, { method, headers: { authorization: `Bearer ${token}` } })).json();
  const items = async () => (await elsewhere("GET", "/v1/inbox")).items as { id: string; title: string }[];
  await expect.poll(async () => (await items()).map(({ title }) => title)).toEqual(["three", "one"]);
  await elsewhere("POST", `/v1/inbox/items/${(await items())[0]!.id}/archive`);
  await expect(titles(page)).toHaveText([/three/, /two/]);

  await card(page, "three").hover();
  await tool(page, "Move to inbox", "three").click();
  await expect(titles(page)).toHaveText([/two/]);
  await page.getByRole("button", { name: "Close" }).click();
  await element(page).locator(".bell").click();
  await expect(heading, "who opens it sees the inbox").toHaveText("Notifications");
  await expect(titles(page)).toHaveText([/three/, /one/]);
});

test("the archive is right after a while away, and an item of the inbox that is opened over it is archived", async ({ page, host, stentor, person }) => {
  const ids: Record<string, string> = {};
  for (const [title, category] of [["one", "news"], ["two", "bills"], ["three", "bills"]]) ids[title!] = await stentor.say(person, title!, {}, { category });
  const { token } = await stentor.api("POST", `/v1/recipients/${person}/token`, {});
  const elsewhere = async (title: string, does: string) => {
    const answer = await fetch(`${stentor.url}/v1/inbox/items/${ids[title]}/${does}`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
    expect(answer.ok).toBe(true);
  };
  await elsewhere("one", "archive");
  await page.goto(host.inboxPage("/away", `<stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox>`));
  await expect(titles(page)).toHaveText([/three/, /two/]);
  const look = page.getByRole("button", { name: "Archived", exact: true });
  await look.click();
  await expect(titles(page)).toHaveText([/one/]);
  await look.click();
  await expect(titles(page)).toHaveCount(2);
  await expect(element(page).getByRole("tab"), "news is in no item of the inbox").toHaveCount(0);
  await look.click();

  host.cut();
  await expect(element(page).locator(".trouble")).toContainText("No connection");
  await elsewhere("two", "archive");
  await elsewhere("one", "unarchive");
  host.restore();
  await hurry(page);
  await live(page);
  await expect(titles(page)).toHaveText([/two/]);
  await look.click();
  await expect(titles(page)).toHaveText([/three/, /one/]);

  await look.click();
  await element(page).evaluate((node: any, id) => node.openItem(id), ids.three);
  await page.getByRole("button", { name: "Archive", exact: true }).click();
  await expect(titles(page)).toHaveText([/three/, /two/]);
  await look.click();
  await expect(titles(page)).toHaveText([/one/]);
});

test("older items come while one scrolls, each once, and a category has a list of its own", async ({ page, host, stentor, person }) => {
  test.setTimeout(60_000);
  const count = 150; // more than Redis keeps
  for (let i = 0; i < count; i += 50) {
    const notifications = Array.from({ length: 50 }, (_, k) => ({ audience: { recipients: [person] }, content: { title: `number ${i + k}` }, category: (i + k) % 10 === 0 ? "rare" : "often" }));
    const { results } = await stentor.api("POST", "/v1/notifications/batch", { notifications });
    for (const { id } of results) await stentor.completed(id);
  }
  await page.goto(host.inboxPage("/deep", `<stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox>`));
  await expect(titles(page)).toHaveCount(20);
  const scroll = element(page).locator(".scroll");
  await expect.poll(async () => {
    await scroll.evaluate((node) => node.scrollTo(0, node.scrollHeight));
    return titles(page).count();
  }, { timeout: 30_000 }).toBe(count);
  const all = await titles(page).allTextContents();
  expect(new Set(all).size).toBe(count);
  expect(await shown(page)).toBe(count);
  // a category has a list of its own
  await page.getByRole("tab", { name: "Rare" }).click();
  await expect.poll(async () => {
    await scroll.evaluate((node) => node.scrollTo(0, node.scrollHeight));
    return titles(page).count();
  }).toBe(count / 10);
  await expect(element(page).locator(".more")).toHaveCount(0);
});

test("several stories of one item are cards that lead to them", async ({ page, host, stentor, person }) => {
  host.page("/bridge", "<!doctype html><title>The bridge</title>");
  const articles = [
    { title: "A new bridge opens", summary: "The first train crossed at dawn.", image: { url: `${host.url}/picture.svg`, alt: "A bridge" }, link: `${host.url}/bridge` },
    { title: "Rain <b>until</b> Friday" },
  ];
  await stentor.say(person, "The morning's news", { body_markdown: "Two stories.", articles });
  await page.goto(host.inboxPage("/stories", `<stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox>`));
  await card(page, "The morning's news").click();
  const stories = element(page).locator("article").getByRole("listitem");
  await expect(stories).toHaveText([/A new bridge opens.*crossed at dawn/s, "Rain <b>until</b> Friday"]);
  await expect(stories.first().getByAltText("A bridge")).toBeVisible();
  await expect(stories.last().getByRole("link")).toHaveCount(0);
  await expectAccessible(page);
  await picture(page, "inbox-stories");
  await page.evaluate(() => {
    document.addEventListener("stentor-action", (event: any) => {
      event.preventDefault();
      document.title = `asked: ${event.detail.action.url}`;
    }, { once: true });
  });
  await page.getByRole("link", { name: "A new bridge opens" }).click();
  await expect(page).toHaveTitle(`asked: ${host.url}/bridge`);
  await page.getByRole("link", { name: "A new bridge opens" }).click();
  await expect(page).toHaveTitle("The bridge");
});

test("buttons of an item lead where they say, unless the page does it its own way", async ({ page, host, stentor, person }) => {
  host.page("/pay", "<!doctype html><title>Paid</title>");
  await stentor.say(person, "To pay", { actions: [{ label: "Pay now", url: `${host.url}/pay` }], link: `${host.url}/pay?more` });
  await page.goto(host.inboxPage("/actions", `<stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox>`));
  await card(page, "To pay").click();
  await page.evaluate(() => {
    document.addEventListener("stentor-action", (event: any) => {
      event.preventDefault();
      document.title = `asked: ${event.detail.action.label}`;
    }, { once: true });
  });
  await page.getByRole("link", { name: "Pay now" }).click();
  await expect(page).toHaveTitle("asked: Pay now");
  await page.getByRole("link", { name: "Pay now" }).click();
  await expect(page).toHaveTitle("Paid");
});

test("what calls for attention, each by its attribute: toasts, title, icon", async ({ page, host, stentor, person }) => {
  await page.goto(host.inboxPage("/loud", `<stentor-inbox toasts title-badge favicon-badge="/unread.svg" token-url="/token?for=${person}"></stentor-inbox>`));
  await live(page);
  const icon = () => page.evaluate(() => new URL((document.querySelector("link[rel=icon]") as HTMLLinkElement).href).pathname);
  expect(await icon()).toBe("/picture.svg");
  await stentor.say(person, "Look here", { body_markdown: "What it says." });
  const toast = element(page).locator(".toast");
  await expect(toast).toContainText("Look here");
  await expect(element(page).getByRole("status")).toHaveText("New: Look here");
  await expect(page).toHaveTitle("(1) A site");
  expect(await icon()).toBe("/unread.svg");
  await toast.locator(".card").click();
  await expect(element(page).locator(".content")).toHaveText("What it says.");
  await expect(toast).toHaveCount(0);
  await expect(page).toHaveTitle("A site");
  expect(await icon()).toBe("/picture.svg");
  // what is read elsewhere is no news any more
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  const id = await stentor.say(person, "Gone in a moment");
  await expect(toast).toContainText("Gone in a moment");
  await stentor.api("POST", `/v1/notifications/${id}/recall`);
  await expect(toast).toHaveCount(0);
});

test("a page without an icon for it is given a dot while something is unread", async ({ page, host, stentor, person }) => {
  const policy = `${POLICY} data:`; // the last of it is img-src
  await page.goto(host.page("/dot", `<!doctype html><html lang="en"><head><title>A site</title><link rel="icon" href="/picture.svg">
<script type="module" src="/widget/v1/stentor-inbox.js"></script></head><body><stentor-inbox favicon-badge token-url="/token?for=${person}"></stentor-inbox></body></html>`, undefined, policy));
  await live(page);
  const icon = page.locator("link[rel=icon]");
  await stentor.say(person, "A dot for this");
  await expect(icon).toHaveAttribute("href", /^data:image\/svg\+xml,/);
  const drawn = await icon.evaluate((link: HTMLLinkElement) => new Promise((done) => {
    const dot = Object.assign(new Image(), { src: link.href, onload: () => done(dot.width > 0), onerror: () => done(false) });
  }));
  expect(drawn, "it is a picture").toBe(true);
  await page.locator("stentor-inbox").evaluate((node: any) => node.inbox.markAllRead());
  await expect(icon).toHaveAttribute("href", /\/picture\.svg$/);
});

test("none of it unless it is asked for", async ({ page, host, stentor, person }) => {
  let tones = 0;
  await page.exposeFunction("toneBegan", () => (tones += 1));
  await page.addInitScript(() => {
    OscillatorNode.prototype.start = () => (window as any).toneBegan();
  });
  await page.goto(host.inboxPage("/quiet", `<stentor-inbox token-url="/token?for=${person}"></stentor-inbox>`));
  await live(page);
  await page.locator("h1").click();
  await stentor.say(person, "Quietly");
  await expect.poll(() => shown(page)).toBe(1);
  await expect(element(page).getByRole("status")).toHaveText("New: Quietly"); // those who hear the page are told all the same
  await expect(element(page).locator(".toast")).toHaveCount(0);
  await expect(page).toHaveTitle("A site");
  expect(await page.evaluate(() => (document.querySelector("link[rel=icon]") as HTMLLinkElement).getAttribute("href"))).toBe("/picture.svg");
  expect(tones).toBe(0);
});

test("a sound, once for all tabs, when something comes", async ({ context, host, stentor, person }) => {
  const url = host.inboxPage("/sound", `<stentor-inbox sound token-url="/token?for=${person}"></stentor-inbox>`);
  let tones = 0;
  await context.exposeFunction("toneBegan", () => (tones += 1));
  await context.addInitScript(() => {
    const begin = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (at) {
      (window as any).toneBegan();
      begin.call(this, at);
    };
  });
  const pages = [await context.newPage(), await context.newPage()];
  for (const page of pages) {
    await page.goto(url);
    await live(page);
    await page.locator("h1").click(); // a page that nobody touched may make no sound
  }
  await stentor.say(person, "Listen");
  for (const page of pages) await expect.poll(() => shown(page)).toBe(1);
  await expect.poll(() => tones).toBe(2); // of one chime
});

test("what a person wants to receive is theirs to say", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "Old news", {}, { category: "news" });
  await page.goto(host.inboxPage("/wishes", `<stentor-inbox variant="panel" categories="news:The news" token-url="/token?for=${person}"></stentor-inbox>`));
  await page.getByRole("button", { name: "Preferences" }).click();
  await page.getByRole("switch", { name: "The news: Email" }).uncheck();
  await page.getByRole("switch", { name: "Everything: SMS" }).uncheck();
  await expect(page.getByRole("switch", { name: "The news: SMS" })).not.toBeChecked();
  await expect.poll(async () => (await stentor.api("GET", `/v1/recipients/${person}`)).preferences)
    .toEqual({ channels: { sms: false }, categories: { news: { email: false } } });
});

test("an update and a withdrawal are seen at once, in an open item too", async ({ page, host, stentor, person }) => {
  const id = await stentor.say(person, "At noon", { body_markdown: "We meet at noon." });
  await page.goto(host.inboxPage("/updated", `<stentor-inbox variant="page" token-url="/token?for=${person}"></stentor-inbox>`));
  await card(page, "At noon").click();
  await expect(element(page).locator(".content")).toHaveText("We meet at noon.");
  await stentor.api("PATCH", `/v1/notifications/${id}`, { content: { title: "At one", body_markdown: "We meet at one." } });
  await expect(element(page).locator(".content")).toHaveText("We meet at one.");
  await expect(titles(page)).toHaveText(["At one"]);
  await stentor.api("POST", `/v1/notifications/${id}/recall`);
  await expect(titles(page)).toHaveCount(0);
  await expect(element(page).locator("article")).toHaveCount(0);
});

test("words, times and direction follow the language, and words of the page's own are stronger", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "سطر");
  const tag = (more: string) => `<stentor-inbox variant="panel" token-url="/token?for=${person}" ${more}></stentor-inbox>`;
  await page.goto(host.inboxPage("/words", `<div lang="ar">${tag("")}</div>${tag(`locale="fr" words='{"title":"Avis","unread":{"one":"{n} non lu","other":"{n} non lus"}}'`)}`));
  const [arabic, french] = [page.locator("stentor-inbox").first(), page.locator("stentor-inbox").last()];
  await expect(arabic.getByRole("heading", { name: "الإشعارات" })).toBeVisible();
  await expect(arabic.locator(".root")).toHaveAttribute("dir", "rtl");
  await expect(arabic.locator(".count")).toHaveText("إشعار واحد غير مقروء");
  await expect(french.getByRole("heading", { name: "Avis" })).toBeVisible();
  await expect(french.locator(".count")).toHaveText("1 non lu");
  await expect(french.locator("time")).toHaveText("maintenant");
});

/** In which direction a text is written, by where its first letter stands and its last. */
const written = (what: Locator) => what.evaluate((node) => {
  const texts = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  let text: Node | null = null;
  while (texts.nextNode()) if (texts.currentNode.textContent!.trim()) text = texts.currentNode;
  const words = text!.textContent!;
  const at = (from: number) => {
    const letter = document.createRange();
    letter.setStart(text!, from);
    letter.setEnd(text!, from + 1);
    return letter.getBoundingClientRect().x;
  };
  const [first, last] = [words.search(/\S/), words.trimEnd().length - 1];
  return at(first) < at(last) ? "ltr" : "rtl";
});

for (const [locale, direction, words] of [
  ["en", "rtl", (n: number) => `مدفوع (${n})!`],
  ["ar", "ltr", (n: number) => `Paid (${n})!`],
] as const) {
  test(`what is of another direction than the inbox is written in its own (${locale})`, async ({ page, host, stentor, person }) => {
    const tag = `<stentor-inbox variant="panel" toasts locale="${locale}" categories="bills:${words(1)}" token-url="/token?for=${person}"></stentor-inbox>`;
    await page.goto(host.inboxPage(`/mixed-${locale}`, tag));
    await live(page);
    const link = `${host.url}/paid`;
    await stentor.say(person, words(2), {
      summary: words(3), body_markdown: `${words(4)}\n\n- ${words(5)}`, actions: [{ label: words(6), url: link }], articles: [{ title: words(7), summary: words(8), link }],
    }, { category: "bills" });
    const inbox = element(page);
    await expect(inbox.locator(".toast")).toBeVisible();
    const seen = [".toast .title", ".toast .summary", "li .title", "li .summary", "li .meta bdi", "[role=tab]:last-child"];
    for (const place of seen) expect(await written(inbox.locator(place).first()), place).toBe(direction);
    const [tools, title] = await Promise.all(["li .tools", "li .title"].map(async (place) => (await inbox.locator(place).boundingBox())!));
    expect(Math.sign(title!.x - tools!.x), "it stands where the titles of this inbox stand").toBe(locale === "ar" ? 1 : -1);
    expect(await written(inbox.locator("h2")), "what the inbox itself says").toBe(locale === "ar" ? "rtl" : "ltr");
    await expectAccessible(page);
    await picture(page, `inbox-mixed-${locale}`);
    await inbox.locator("li .card").click();
    await expect(inbox.locator(".content")).toContainText(words(5));
    for (const place of ["h3", ".content p", ".content li", ".actions a", ".stories .title", ".stories .summary"]) {
      expect(await written(inbox.locator(`.side ${place}`).first()), place).toBe(direction);
    }
    await expectAccessible(page);
    await picture(page, `inbox-mixed-${locale}-open`);
    await inbox.locator(".settings").click();
    expect(await written(inbox.locator("th", { hasText: words(1) }))).toBe(direction);
    const edges = await inbox.locator("th bdi").evaluateAll((all, right) => all.map((label) => label.getBoundingClientRect()[right ? "right" : "left"]), locale === "ar");
    expect(new Set(edges.map(Math.round)).size, "rows begin below each other").toBe(1);
  });
}

test("the client without a face knows the same", async ({ page, host, stentor, person }) => {
  host.page("/headless.js", `
    import { StentorInbox } from "/widget/v1/stentor-inbox.js";
    const inbox = new StentorInbox({ token: async () => (await fetch("/token?for=${person}")).json() });
    inbox.subscribe(() => { document.title = inbox.status + " " + inbox.unread + " " + inbox.items().map((item) => item.title).join(); });
    window.inbox = inbox;`, "text/javascript");
  await page.goto(host.page("/headless", `<!doctype html><html lang="en"><title>…</title><link rel="icon" href="/picture.svg"><script type="module" src="/headless.js"></script></html>`));
  await expect(page).toHaveTitle("live 0 ");
  await stentor.say(person, "seen by a program");
  await expect(page).toHaveTitle("live 1 seen by a program");
  await page.evaluate(() => (window as any).inbox.markAllRead());
  await expect(page).toHaveTitle("live 0 seen by a program");
  await page.evaluate(() => (window as any).inbox.forget());
  expect(await page.evaluate(() => Object.keys(localStorage))).toEqual([]);
});

// Three tabs of one browser and another browser, all of one person: the count is the same everywhere after every action.
import type { Page } from "@playwright/test";

import { expect, test } from "../src/fixtures.ts";
import { card, client, live, shown, titles, tool } from "../src/widget.ts";

test("three tabs and two browsers agree on unread after every action", async ({ context, newBrowser, host, stentor, person }) => {
  const url = host.inboxPage("/panel", `<stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox>`);
  const other = await newBrowser();
  const pages: Page[] = [];
  for (const browser of [context, context, context, other]) {
    const page = await browser.newPage();
    await page.goto(url);
    await live(page);
    pages.push(page);
  }
  // one socket for each browser, whatever its tabs
  expect(host.sockets).toBe(2);
  expect(await Promise.all(pages.map(async (page) => (await client(page)).leads))).toEqual([true, false, false, true]);

  const agree = async (unread: number, list: string[]) => {
    await expect.poll(() => stentor.unread(person), { message: "the server's count" }).toBe(unread);
    for (const page of pages) {
      await expect.poll(() => shown(page), { message: "the count that is shown" }).toBe(unread);
      await expect(titles(page)).toHaveText(list.map((title) => new RegExp(`(^|: )${title}$`)));
    }
  };
  const [a, b, c, d] = pages as [Page, Page, Page, Page];
  await agree(0, []);
  const one = await stentor.say(person, "one");
  await agree(1, ["one"]);
  await stentor.say(person, "two");
  await agree(2, ["two", "one"]);
  await stentor.send("everyone", { content: { title: `to all, with ${person}` } });
  await agree(3, [`to all, with ${person}`, "two", "one"]);
  await card(b, "one").click(); // a tab that has no socket of its own
  await expect(b.getByRole("heading", { name: "one" })).toBeVisible();
  await b.keyboard.press("Escape"); // the open item hides the list
  await agree(2, [`to all, with ${person}`, "two", "one"]);
  await card(d, "two").hover();
  await tool(d, "Mark as read", "two").click();
  await agree(1, [`to all, with ${person}`, "two", "one"]);
  await card(c, "one").hover();
  await tool(c, "Mark as unread", "one").click();
  await agree(2, [`to all, with ${person}`, "two", "one"]);
  await card(a, "to all").hover();
  await tool(a, "Archive", `to all, with ${person}`).click();
  await agree(1, ["two", "one"]);
  await a.getByRole("button", { name: "Undo" }).click();
  await agree(2, [`to all, with ${person}`, "two", "one"]);
  await stentor.api("POST", `/v1/notifications/${one}/recall`);
  await agree(1, [`to all, with ${person}`, "two"]);
  await c.getByRole("button", { name: "Mark all as read" }).click();
  await agree(0, [`to all, with ${person}`, "two"]);

  // the tab with the socket goes: another takes its place, and nobody misses anything
  await a.close();
  pages.shift();
  await stentor.say(person, "three");
  await agree(1, ["three", `to all, with ${person}`, "two"]);
  expect(host.sockets).toBe(2);
});

test("by wish each tab has a connection of its own", async ({ context, host, stentor, person }) => {
  const url = host.inboxPage("/alone", `<stentor-inbox no-share token-url="/token?for=${person}"></stentor-inbox>`);
  const pages = [await context.newPage(), await context.newPage()];
  for (const page of pages) {
    await page.goto(url);
    await live(page);
  }
  expect(host.sockets).toBe(2);
  await stentor.say(person, "to both");
  for (const page of pages) await expect.poll(() => shown(page)).toBe(1);
});

test("where a page may hold no locks, each tab has a connection of its own and all agree", async ({ context, host, stentor, person }) => {
  await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "locks", { value: undefined }));
  const url = host.inboxPage("/lockless", `<stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox>`);
  const pages = [await context.newPage(), await context.newPage()];
  for (const page of pages) {
    await page.goto(url);
    await live(page);
  }
  expect(host.sockets).toBe(2);
  await stentor.say(person, "to both");
  for (const page of pages) await expect.poll(() => shown(page)).toBe(1);
  await pages[0]!.getByRole("button", { name: "Mark all as read" }).click();
  for (const page of pages) await expect.poll(() => shown(page)).toBe(0);
});

test("a tab that keeps the connection and answers nobody is no longer waited for, and follows once it wakes", async ({ context, host, stentor, person }) => {
  const url = host.inboxPage("/sleep", `<stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox>`);
  const [sleeper, other] = [await context.newPage(), await context.newPage()];
  for (const page of [sleeper, other]) {
    await page.goto(url);
    await live(page);
  }
  expect((await client(sleeper)).leads).toBe(true);
  // as if the system had put it to sleep: it holds the lock and says nothing
  await sleeper.evaluate(() => {
    const say = BroadcastChannel.prototype.postMessage;
    BroadcastChannel.prototype.postMessage = () => {};
    (window as any).wake = () => (BroadcastChannel.prototype.postMessage = say);
  });
  const third = await context.newPage();
  await third.goto(url);
  await expect.poll(async () => (await client(third)).leads, { intervals: [100] }).toBe(true);
  await sleeper.evaluate(() => (window as any).wake());
  await stentor.say(person, "while it slept");
  for (const page of [sleeper, other, third]) await expect(titles(page)).toHaveText([/while it slept/]);
  expect((await client(sleeper)).leads).toBe(false);
  await expect.poll(() => host.sockets).toBe(1);
});

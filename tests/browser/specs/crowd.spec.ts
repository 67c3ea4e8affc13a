// Many widgets on one page, of one person and of as many people: the test of the original idea, with 50 and then with 500. WIDGETS=1000 for
// another number.
import type { Page } from "@playwright/test";

import { expect, test } from "../src/fixtures.ts";

const NUMBERS = process.env.WIDGETS ? [Number(process.env.WIDGETS)] : [50, 500];
/** Chromium opens no more than 255 WebSockets at once. */
const OF_ONE_BROWSER = 250;
/** On a busy machine hundreds at once take longer than a WebSocket is waited for, and some would come by another way. */
const AT_ONCE = 125;

for (const MANY of NUMBERS) {
  test(`${MANY} widgets on one page show the same, over one socket`, async ({ page, host, stentor, person }) => {
    test.setTimeout(30_000 + MANY * 200);
    const one = `<stentor-inbox token-url="/token?for=${person}"></stentor-inbox>`;
    await page.goto(host.inboxPage("/many", one.repeat(MANY)));
    await stentor.say(person, "to all of them");
    const all = (unread: number) => expect.poll(() => page.evaluate((n) =>
      [...document.querySelectorAll("stentor-inbox")].filter((node) => Number(node.shadowRoot!.querySelector(".badge")?.textContent ?? 0) === n).length, unread)).toBe(MANY);
    await all(1);
    expect(host.sockets).toBe(1);
    expect(host.tokens).toBe(1);
    await page.locator("stentor-inbox").last().click();
    await page.getByRole("button", { name: "Mark all as read" }).click();
    await all(0);
  });

  test(`${MANY} people, each with a socket`, async ({ newBrowser, host, stentor, person }) => {
    const people = Array.from({ length: MANY }, (_, i) => `${person}-${i}`);
    test.setTimeout(30_000 + MANY * 200);
    const pages: Page[] = [];
    for (let i = 0; i < MANY; i += AT_ONCE) {
      if (i % OF_ONE_BROWSER === 0) {
        pages.push(await (await newBrowser()).newPage());
        await pages.at(-1)!.goto(host.inboxPage("/people", ""));
      }
      const some = people.slice(i, i + AT_ONCE);
      const tags = some.map((name) => `<stentor-inbox token-url="/token?for=${name}"></stentor-inbox>`).join("");
      await pages.at(-1)!.evaluate((tags) => document.querySelector("main")!.insertAdjacentHTML("beforeend", tags), tags);
      await expect.poll(() => host.sockets, { timeout: 30_000, intervals: [50] }).toBe(i + some.length);
    }
    await stentor.send(people, { content: { title: "to each" } });
    const badges = (page: Page) => page.evaluate(() => [...document.querySelectorAll("stentor-inbox")].map((node) => node.shadowRoot!.querySelector(".badge")?.textContent));
    await expect.poll(async () => (await Promise.all(pages.map(badges))).flat(), { timeout: 20_000 }).toEqual(people.map(() => "1"));
  });
}

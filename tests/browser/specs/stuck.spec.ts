// What a person is told when trying again does not help, and how seldom it is tried then: the page may not open inboxes, the person has
// too many connections, the token is not taken.
import type { Page } from "@playwright/test";

import { expect, expectAccessible, test } from "../src/fixtures.ts";
import type { Host } from "../src/host.ts";
import { picture } from "../src/pictures.ts";
import { client, live, titles, trouble, tryAgain } from "../src/widget.ts";

/** The most connections of one person. */
const MOST = 64;

/** Counts how often a page tries to open a WebSocket. */
function tries(page: Page): () => number {
  let count = 0;
  page.on("websocket", () => (count += 1));
  return () => count;
}

/** Stops the page's time, and lets it go on in steps until it tries once more: how many seconds passed. */
async function untilNext(page: Page, tried: () => number, meanwhile = async () => {}): Promise<number> {
  const before = tried();
  await page.clock.pauseAt(await page.evaluate(() => Date.now() + 1_000));
  await meanwhile();
  // shorter steps than a page waits for an answer, which takes its own time
  for (let seconds = 1; seconds < 600; seconds += 3) {
    await page.clock.runFor(3_000);
    if (tried() > before) return seconds;
  }
  return Infinity;
}

/** Opens as many connections of a person as they may have, in a page of their own. Gives what ends one. */
async function crowd(page: Page, host: Host, person: string): Promise<() => Promise<void>> {
  await page.goto(host.inboxPage("/crowd", ""));
  await page.evaluate(async ({ most, token }) => {
    const open = () => new Promise<WebSocket>((welcomed, failed) => {
      const socket = new WebSocket(`${location.origin.replace("http", "ws")}/v1/inbox/ws`, "stentor.v1");
      socket.onopen = () => socket.send(JSON.stringify({ type: "auth", token }));
      socket.onmessage = ({ data }) => JSON.parse(data).type === "welcome" && welcomed(socket);
      socket.onclose = ({ code }) => failed(new Error(`closed with ${code}`));
    });
    (window as any).devices = await Promise.all(Array.from({ length: most }, open));
  }, { most: MOST, token: host.token(person) });
  return async () => {
    const open = host.sockets;
    await page.evaluate(() => (window as any).devices.pop().close());
    await expect.poll(() => host.sockets).toBe(open - 1);
  };
}

test("a page of an origin that is not listed is told so, and asks again after minutes", async ({ page, host, stentor, person }) => {
  const from = stentor.url;
  const policy = `default-src 'none'; style-src 'self'; script-src ${from}; connect-src 'self' ${from} ${from.replace("http", "ws")}; img-src 'self'`;
  const markup = `<!doctype html><html lang="en"><head><title>A site</title><link rel="icon" href="/picture.svg">
<script type="module" src="${from}/widget/v1/stentor-inbox.js"></script></head>
<body><main><h1>A site</h1><stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox></main></body></html>`;
  const tried = tries(page);
  await page.setViewportSize({ width: 460, height: 640 });
  await page.clock.install();
  await page.goto(host.page("/stranger", markup, undefined, policy));
  await expect(trouble(page)).toContainText("This site may not show your notifications.");
  await expect(tryAgain(page)).toBeVisible();
  await expect(titles(page)).toHaveCount(0);
  await expect(page.getByRole("img", { name: "Loading" })).toHaveCount(0); // nothing is on its way
  expect(await client(page)).toMatchObject({ status: "error", problem: "forbidden" });
  await expectAccessible(page);
  await picture(page, "inbox-forbidden");
  expect(tried()).toBe(1);
  await tryAgain(page).click(); // by whoever has mended it
  await expect.poll(tried).toBe(2);
  await expect(trouble(page)).toContainText("This site may not");
  const pause = await untilNext(page, tried);
  expect(pause).toBeGreaterThan(2 * 60);
  expect(pause).toBeLessThan(8 * 60);
});

test("the 65th connection of a person is told that there are too many, and is there once one has gone", async ({ page, newBrowser, host, stentor, person }) => {
  const leave = await crowd(await (await newBrowser()).newPage(), host, person);
  await stentor.say(person, "For all of them");
  const looking = await (await newBrowser()).newPage();
  const [tried, triedThere] = [tries(page), tries(looking)];
  await page.setViewportSize({ width: 460, height: 640 });
  await page.clock.install();
  const url = host.inboxPage("/65", `<stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox>`);
  for (const device of [page, looking]) {
    await device.goto(url);
    await expect(trouble(device)).toContainText("Open in too many places. Please close some.");
    expect(await client(device)).toMatchObject({ status: "error", problem: "crowded" });
  }
  await expectAccessible(page);
  await picture(page, "inbox-crowded");
  await tryAgain(page).click(); // too early
  await expect.poll(tried).toBe(2);
  await expect(trouble(page)).toContainText("Open in too many places.");
  expect(host.asked.filter((asked) => /events|poll/.test(asked)), "no other way is tried").toEqual([]);

  // by itself after a while
  const pause = await untilNext(page, tried, leave);
  expect(pause).toBeGreaterThan(25);
  expect(pause).toBeLessThan(95);
  await page.clock.resume();
  await live(page);
  await expect(titles(page)).toHaveText([/For all of them/]);
  await expect(trouble(page)).toHaveCount(0);

  // where somebody looks at it again, at once
  expect(triedThere()).toBe(1);
  await leave();
  await looking.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await live(looking);
  await expect(titles(looking)).toHaveText([/For all of them/]);
});

test("for a token that is not taken another is asked at once, and then ever less often", async ({ page, host, person }) => {
  test.slow();
  host.tokenLife = -60;
  const at: number[] = [];
  page.on("request", (request) => request.url().includes("/token") && at.push(Date.now()));
  await page.goto(host.inboxPage("/refused", `<stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox>`));
  await expect(trouble(page)).toContainText("You are signed out. Please sign in again.");
  await expectAccessible(page);
  await expect.poll(() => at.length, { timeout: 30_000 }).toBeGreaterThan(5);
  const pauses = at.slice(2, 6).map((time, n) => time - at[n + 1]!);
  expect(pauses[3], `${pauses}`).toBeGreaterThan(pauses[0]! * 1.5);
});

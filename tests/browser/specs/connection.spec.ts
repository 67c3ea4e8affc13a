// What breaks between a page and Stentor, and how the page comes back.
import type { WebSocketRoute } from "@playwright/test";

import { expect, test } from "../src/fixtures.ts";
import { Host } from "../src/host.ts";
import { card, client, element, hurry, live, shown, titles, tool, tryAgain } from "../src/widget.ts";

const panel = (person: string) => `<stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox>`;

test("the network is cut and restored: what was done meanwhile is done, what came meanwhile is there", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "one");
  await stentor.say(person, "two");
  const welcomes: { recovered: boolean; items: { title: string }[] }[] = [];
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => {
    const frame = JSON.parse(String(payload));
    if (frame.type === "welcome") welcomes.push(frame);
  }));
  await page.goto(host.inboxPage("/cut", panel(person)));
  await expect(titles(page)).toHaveCount(2);
  host.cut();
  await expect(element(page).locator(".trouble")).toContainText("No connection");
  await card(page, "one").hover();
  await tool(page, "Mark as read", "one").click();
  await expect(element(page).locator(".trouble")).toContainText("1 change is sent later");
  // it looks read at once; the count stays the server's
  await expect(card(page, "Unread: one")).toHaveCount(0);
  expect(await shown(page)).toBe(2);
  await stentor.say(person, "three");
  host.restore();
  await hurry(page);
  await live(page);
  await expect(titles(page)).toHaveText([/three/, /two/, /one/]);
  await expect.poll(() => stentor.unread(person)).toBe(2);
  await expect.poll(() => shown(page)).toBe(2);
  await expect.poll(async () => (await client(page)).waiting).toBe(0);
  // it went on from its cursor: it was told what it missed, and nothing twice
  expect(welcomes.map(({ recovered, items }) => [recovered, items.map(({ title }) => title)])).toEqual([[false, ["two", "one"]], [true, ["three"]]]);
});

test("what the browser kept is there without a network, and what was queued outlives the page", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "kept");
  const markup = `<stentor-inbox variant="panel" recipient="${person}" token-url="/token?for=${person}"></stentor-inbox>`;
  const url = host.inboxPage("/kept", markup);
  await page.goto(url);
  await expect(titles(page)).toHaveText([/kept/]);
  await expect.poll(() => page.evaluate(() => Object.keys(localStorage).filter((key) => key.endsWith(":page")).length)).toBe(1);
  // Stentor is away, the site is not
  host.reachable = false;
  await page.reload();
  await expect(titles(page)).toHaveText([/kept/]);
  await expect(element(page).locator(".trouble")).toBeVisible();
  await card(page, "kept").hover();
  await tool(page, "Archive", "kept").click();
  await expect(titles(page)).toHaveCount(0);
  await page.reload();
  await expect(titles(page)).toHaveCount(0);
  host.reachable = true;
  await live(page);
  await expect.poll(() => stentor.unread(person)).toBe(0);
  await expect.poll(() => shown(page)).toBe(0);
});

test("an item that is clicked before there is a connection is opened once there is one", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "first", { body_markdown: "Its content." });
  await stentor.say(person, "second", { body_markdown: "The other's." });
  await page.goto(host.inboxPage("/early", `<stentor-inbox variant="panel" recipient="${person}" token-url="/token?for=${person}"></stentor-inbox>`));
  await expect.poll(() => page.evaluate(() => Object.keys(localStorage).filter((key) => key.endsWith(":page")).length)).toBe(1);
  // the page shows what the browser kept; its token takes its time
  let give = () => {};
  await page.route("**/token?*", async (route) => {
    await new Promise<void>((done) => (give = done));
    await route.continue();
  }, { times: 1 });
  await page.reload();
  await card(page, "first").click();
  await expect(element(page).locator(".side .ghost")).toBeVisible();
  give();
  await expect(element(page).locator(".content")).toHaveText("Its content.");
  await expect.poll(() => stentor.unread(person)).toBe(1);
  await page.keyboard.press("Escape");
  // without a network it is said that it cannot be loaded; with it, it is
  host.cut();
  await expect(element(page).locator(".trouble")).toBeVisible();
  await card(page, "second").click();
  await expect(element(page).locator(".side")).toContainText("This cannot be loaded now.");
  host.restore();
  await hurry(page);
  await expect(element(page).locator(".content")).toHaveText("The other's.");
  await expect.poll(() => stentor.unread(person)).toBe(0);
});

test("what is kept of two apps' inboxes is kept apart", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "kept");
  await page.goto(host.inboxPage("/apart", panel(person)));
  await expect(titles(page)).toHaveText([/kept/]);
  await expect.poll(() => page.evaluate(() => Object.keys(localStorage))).toEqual([expect.stringMatching(`:${stentor.ready.app}:${person}:page$`)]);
});

test("a page that names only the person is shown what its own app kept, and touches nothing of another's", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "of this app");
  const home = `stentor:${host.url}/:`;
  const other = `${home}another:${person}`;
  const item = { id: "01890000-0000-7000-8000-000000000000", title: "of another app", created_at: new Date().toISOString(), category: null, priority: "normal" };
  const kept = JSON.stringify({ unread: 7, cursor: "x", items: { [item.id]: item }, lists: { "": { ids: [item.id], next: null } } });
  const queue = JSON.stringify([{ key: "1", change: { type: "archive", ids: [item.id] }, kept: true }]);
  const seed = { [`${home}/token?for=${person}:${person}`]: other, [`${other}:page`]: kept, [`${other}:queue`]: queue };
  await page.addInitScript((seed) => {
    if (!sessionStorage.seeded) for (const [key, text] of Object.entries(seed)) localStorage.setItem(key, text);
    sessionStorage.seeded = "yes";
  }, seed);
  const url = host.inboxPage("/whose", `<stentor-inbox variant="panel" recipient="${person}" token-url="/token?for=${person}"></stentor-inbox>`);
  await page.goto(url);
  await expect(titles(page)).toHaveText([/of this app/]);
  expect(await shown(page)).toBe(1);
  const stored = () => page.evaluate(() => ({ ...localStorage }));
  const own = `${home}${stentor.ready.app}:${person}`;
  await expect.poll(async () => Object.keys(await stored()).sort()).toEqual([...Object.keys(seed), `${own}:page`].sort());
  expect(await stored()).toMatchObject({ [`${other}:page`]: kept, [`${other}:queue`]: queue, [`${home}/token?for=${person}:${person}`]: own });
  await page.evaluate(() => (document.querySelector("stentor-inbox") as any).inbox.forget());
  expect(Object.keys(await stored()).sort(), "what is another's stays").toEqual([`${other}:page`, `${other}:queue`]);
});

test("the server is killed and started again: the page catches up", async ({ page, ownStentor, person }) => {
  const host = await Host.start(ownStentor);
  await ownStentor.say(person, "before");
  await page.goto(host.inboxPage("/killed", panel(person)));
  await expect(titles(page)).toHaveText([/before/]);
  await ownStentor.kill();
  await expect(element(page).locator(".trouble")).toContainText("No connection");
  await ownStentor.run();
  await ownStentor.say(person, "after");
  await expect(titles(page)).toHaveText([/after/, /before/], { timeout: 20_000 });
  await expect.poll(() => shown(page)).toBe(2);
  expect((await client(page)).way).toBe("ws");
  await host.stop();
});

test("a server that says goodbye is not asked before the time that it named", async ({ page, ownStentor, person }) => {
  const host = await Host.start(ownStentor);
  const opened: number[] = [];
  let bye = { at: 0, after: 0 };
  page.on("websocket", (socket) => {
    opened.push(Date.now());
    socket.on("framereceived", ({ payload }) => {
      const frame = JSON.parse(String(payload));
      if (frame.type === "bye") bye = { at: Date.now(), after: frame.reconnect_after_ms };
    });
  });
  await page.goto(host.inboxPage("/goodbye", panel(person)));
  await live(page);
  await ownStentor.restart();
  await ownStentor.say(person, "after");
  await expect(titles(page)).toHaveText([/after/], { timeout: 25_000 });
  expect(bye.at).toBeGreaterThan(0);
  expect(opened[1]! - bye.at).toBeGreaterThanOrEqual(bye.after - 50);
  await host.stop();
});

test("a server that is away is asked ever less often, and not by all at the same moment", async ({ newBrowser, host, person }) => {
  test.slow();
  const url = host.inboxPage("/away", panel(person));
  host.reachable = false;
  const tries = async () => {
    const page = await (await newBrowser()).newPage();
    const at: number[] = [];
    page.on("websocket", () => at.push(Date.now()));
    await page.goto(url);
    await expect.poll(() => at.length, { timeout: 30_000 }).toBeGreaterThan(4);
    return at.slice(1, 5).map((time, n) => time - at[n]!);
  };
  const [one, other] = await Promise.all([tries(), tries()]);
  for (const pauses of [one, other]) expect(pauses[3]).toBeGreaterThan(pauses[0]! * 1.5);
  const apart = one.map((pause, n) => Math.abs(pause - other[n]!));
  expect(Math.max(...apart), `${one} and ${other}`).toBeGreaterThan(50);
});

test("a socket that was closed for sending too fast is opened again after a pause, as after any break", async ({ page, host, stentor, person }) => {
  const sockets: WebSocketRoute[] = [];
  await page.routeWebSocket(/\/v1\/inbox\/ws$/, (socket) => {
    socket.connectToServer();
    sockets.push(socket);
  });
  await page.goto(host.inboxPage("/fast", panel(person)));
  await live(page);
  const seen = await element(page).evaluateHandle(({ inbox }: any) => {
    const seen: string[] = [];
    inbox.addEventListener("change", () => seen.at(-1) !== inbox.status && seen.push(inbox.status));
    return seen;
  });
  await sockets[0]!.close({ code: 4429, reason: "frames faster than they are taken" });
  await expect.poll(() => seen.jsonValue()).toEqual(["offline", "live"]);
  expect(sockets.length).toBe(2);
  await stentor.say(person, "still here");
  await expect(titles(page)).toHaveText([/still here/]);
});

test("answers that were dropped with what waited for a slow page: changes are said again, and what is shown is read anew", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "one");
  await stentor.say(person, "two");
  // What the server does for one who reads too slowly: it drops what waits, and tells that.
  const dropped: Record<string, number> = { archive: 1, list: 1 };
  const asked: string[] = [];
  let told = "";
  await page.routeWebSocket(/\/v1\/inbox\/ws$/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((text) => {
      const { type, unread, cursor } = JSON.parse(String(text));
      if (type === "welcome") told = JSON.stringify({ type: "resync", unread, cursor });
      socket.send(text);
    });
    socket.onMessage((text) => {
      const { type, ref } = JSON.parse(String(text));
      asked.push(type);
      if (!dropped[type]) return server.send(text);
      dropped[type] -= 1;
      socket.send(told);
      socket.send(JSON.stringify({ type: "error", ref, code: "too_slow", message: "ask again" }));
    });
  });
  await page.goto(host.inboxPage("/dropped", panel(person)));
  await expect(titles(page)).toHaveText([/two/, /one/]);
  await card(page, "one").hover();
  await tool(page, "Archive", "one").click();
  // the list that is asked for then is dropped as well: it is asked for once more
  await expect.poll(() => asked.filter((type) => type === "list").length).toBeGreaterThan(1);
  await expect.poll(() => stentor.unread(person)).toBe(1);
  await expect.poll(async () => (await client(page)).waiting).toBe(0);
  expect(asked.filter((type) => type === "archive").length).toBe(2);
  await card(page, "two").hover();
  await tool(page, "Mark as read", "two").click();
  await expect.poll(() => stentor.unread(person)).toBe(0);
  await expect(titles(page)).toHaveText([/two/]);
});

test("who looks on from another tab can try again as well", async ({ context, host, person }) => {
  const url = host.inboxPage("/again", panel(person));
  const [leader, follower] = [await context.newPage(), await context.newPage()];
  for (const tab of [leader, follower]) {
    await tab.goto(url);
    await live(tab);
  }
  host.cut();
  await expect(element(follower).locator(".trouble")).toBeVisible();
  await tryAgain(follower).click();
  host.restore();
  await hurry(follower);
  for (const tab of [leader, follower]) await live(tab);
});

for (const [name, way, refuse] of [
  ["a proxy that refuses WebSockets: events", "sse", (host: Host) => (host.webSockets = false)],
  ["a proxy that refuses streams as well: polls", "poll", (host: Host) => (host.webSockets = host.events = false)],
] as const) {
  test(name, async ({ page, host, stentor, person }) => {
    refuse(host);
    await stentor.say(person, "one", { body_markdown: "Its content." });
    await page.goto(host.inboxPage(`/${way}`, panel(person)));
    await expect(titles(page)).toHaveText([/one/]);
    expect((await client(page)).way).toBe(way);
    await live(page);
    await stentor.say(person, "two");
    await expect(titles(page)).toHaveText([/two/, /one/]);
    await card(page, "one").click();
    await expect(element(page).locator(".content")).toHaveText("Its content.");
    await expect.poll(() => shown(page)).toBe(1);
    await page.getByRole("button", { name: "Mark all as read" }).click();
    await expect.poll(() => shown(page)).toBe(0);
    expect(await stentor.unread(person)).toBe(0);
    await page.getByRole("button", { name: "Archive", exact: true }).click(); // that of the open item
    await page.getByRole("button", { name: "Archived", exact: true }).click();
    await expect(titles(page)).toHaveText([/one/]);
  });
}

test("a token is renewed before it runs out, over the same socket", async ({ page, host, stentor, person }) => {
  host.tokenLife = 4;
  await page.goto(host.inboxPage("/renewed", panel(person)));
  await live(page);
  const sockets = () => host.asked.filter((asked) => asked.includes("/v1/inbox/ws")).length;
  await expect.poll(() => host.tokens, { timeout: 15_000 }).toBeGreaterThan(2);
  await stentor.say(person, "still here");
  await expect(titles(page)).toHaveText([/still here/]);
  expect(sockets()).toBe(1);
});

test("a token that is not taken is asked for anew, and a page that has none says so", async ({ page, host, stentor, person }) => {
  host.tokenLife = -60;
  await page.goto(host.inboxPage("/expired", panel(person)));
  await expect(element(page).locator(".trouble")).toContainText("You are signed out");
  host.tokenLife = 600;
  await element(page).getByRole("button", { name: "Try again" }).click();
  await live(page);
  await stentor.say(person, "signed in");
  await expect(titles(page)).toHaveText([/signed in/]);
  await expect(element(page).locator(".trouble")).toHaveCount(0);
});

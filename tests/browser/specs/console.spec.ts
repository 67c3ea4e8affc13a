// The console: an operator signs in by a link, sees what happens as it happens, finds, looks into, decides.
import type { Route } from "@playwright/test";

import { aDay, bury, enter, more, PAGES } from "../src/console.ts";
import { expect, expectAccessible, test } from "../src/fixtures.ts";
import { picture } from "../src/pictures.ts";
import { live } from "../src/widget.ts";

for (const [look, options] of [
  ["light", { colorScheme: "light", viewport: { width: 1280, height: 800 } }],
  ["dark", { colorScheme: "dark", viewport: { width: 1280, height: 800 } }],
  ["phone", { colorScheme: "light", viewport: { width: 390, height: 844 } }],
] as const) {
  test(`every page is accessible and fits, ${look}`, async ({ newBrowser, ownStentor: stentor }) => {
    test.slow();
    const person = "maria";
    const id = await aDay(stentor, person);
    await more(stentor, person);
    const context = await newBrowser(options);
    const page = await context.newPage();
    await page.goto(`${stentor.url}/console/login`);
    await expectAccessible(page);
    await picture(page, `console-login-${look}`);
    await enter(page, stentor);
    for (const [name, path] of PAGES(id, person)) {
      await page.goto(stentor.url + path);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      if (name === "studio") await expect(page.getByRole("tabpanel")).toContainText("In the list");
      await expectAccessible(page);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(wider, `${name} is wider than the window`).toBeLessThanOrEqual(0);
      await picture(page, `console-${name}-${look}`);
    }
  });
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`what pages say once something was asked or done is accessible as well, ${colorScheme}`, async ({ newBrowser, ownStentor: stentor }) => {
    test.slow();
    const id = await aDay(stentor, "maria");
    const page = await (await newBrowser({ colorScheme, viewport: { width: 1280, height: 800 } })).newPage();
    page.on("dialog", (dialog) => void dialog.accept());
    const at = (path: string) => page.goto(`${stentor.url}/console${path}`);
    await at("/login");
    await page.getByLabel("Operator key").fill("stn_oper_wrong_key");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("alert")).toBeVisible();
    await expectAccessible(page);
    await enter(page, stentor);

    await at("/notifications?state=bounced&from=2020-01-01T00:00");
    await expect(page.getByText("No notification fits.")).toBeVisible();
    await expectAccessible(page);
    await at("/notifications?from=yesterday");
    await expect(page.getByRole("alert")).toContainText("write a time in UTC");
    await expectAccessible(page);
    await at(`/notifications/${id}`);
    for (const [tab, says] of [["email de", "Subject"], ["sms ar", "paid for"]] as const) {
      await page.getByRole("button", { name: tab }).click();
      await expect(page.locator("#rendered")).toContainText(says);
      await expectAccessible(page);
    }
    await page.getByText("Metadata").click();
    await page.getByRole("button", { name: "Recall" }).click();
    await expect(page.getByRole("status")).toContainText("Recalled");
    await expectAccessible(page);
    await at("/recipients/maria");
    await page.getByRole("button", { name: "Show addresses" }).click();
    await expect(page.getByText("maria@example.com")).toBeVisible();
    await expectAccessible(page);
    await at("/keys");
    await page.getByLabel("Name of a new key").fill("billing");
    await page.getByRole("button", { name: "Make a key" }).click();
    await expect(page.getByRole("status")).toContainText("stn_live_");
    await expectAccessible(page);
    await page.getByRole("row", { name: "billing" }).getByRole("button").click();
    await expect(page.getByRole("row", { name: "billing" })).toContainText("revoked");
    await expectAccessible(page);
    await at("/providers");
    await page.getByLabel("Where to send a test by capture").first().fill("somebody@example.com");
    await page.getByRole("button", { name: "Send a test" }).first().click();
    await expect(page.getByText("the provider took it")).toBeVisible();
    const cut = await page.locator(".scroll").evaluateAll((all) => all.filter((list) => list.scrollWidth > list.clientWidth).length);
    expect(cut, "what the provider said is read without scrolling").toBe(0);
    await expectAccessible(page);
    await at("/topics?app=nobody");
    await expect(page.getByRole("alert")).toBeVisible();
    await expectAccessible(page);
  });
}

test("what waits and for how long is on the overview and in the queues, and so is a provider that does not answer", async ({ page, ownStentor: stentor }) => {
  test.slow();
  const waiting = { content: { title: "By SMS" }, channels: ["sms"] };
  const tile = (name: string) => page.locator(".tile").filter({ has: page.getByRole("heading", { name }) });
  // nobody works: what was accepted lines up
  stentor.settings.STENTOR__ROLES = "api,gateway";
  // and a gateway that answers to nobody: what is for it will wait
  stentor.settings.STENTOR__SMS__PROVIDERS = "away";
  stentor.settings.STENTOR__SMS__PROVIDER__AWAY__PRESET = "kannel";
  stentor.settings.STENTOR__SMS__PROVIDER__AWAY__URL = "http://127.0.0.1:9/cgi-bin/sendsms?username=u&password=p";
  stentor.settings.STENTOR__SMS__PROVIDER__AWAY__FROM = "Stentor";
  await stentor.restart();
  await stentor.api("PUT", "/v1/recipients/maria", { phone: "+4915112345678", locale: "en" });
  await stentor.send(["maria"], waiting);
  await stentor.send(["maria"], waiting);
  await enter(page, stentor);
  await expect(tile("Waiting for dispatch")).toContainText(/2\s*the oldest for \d+ (ms|s)/);
  await expectAccessible(page);
  await page.goto(`${stentor.url}/console/queues`);
  await expect(page.getByRole("row", { name: /^dispatch 0 2 0 \d+ (ms|s)/ })).toBeVisible();

  delete stentor.settings.STENTOR__ROLES;
  await stentor.restart();
  await enter(page, stentor);
  await expect(tile("sms")).toContainText("2 wait for a time");
  // workers say every few seconds how their providers fare
  await expect(async () => {
    await page.reload();
    await expect(tile("Providers")).toContainText(/away\s+sms\s+(in trouble|left alone)/, { timeout: 500 });
  }).toPass({ timeout: 20_000 });
  await expectAccessible(page);
  await page.goto(`${stentor.url}/console/queues`);
  await expect(page.getByRole("row", { name: /^sms/ })).toContainText("next in");
  await page.goto(`${stentor.url}/console/providers`);
  await expect(page.getByRole("row", { name: /away/ })).toContainText(/failed|failures in a row/);
  await expectAccessible(page);
});

test("the overview shows what happens, as it happens", async ({ page, context, host, stentor, person }) => {
  await enter(page, stentor);
  expect(page.url(), "the key leaves the address").not.toContain("stn_oper_");
  await expect(page.getByText(person)).toHaveCount(0);
  await stentor.say(person, "Hello");
  await expect(page.getByRole("cell", { name: person }).first()).toBeVisible();
  await expect(page.getByRole("img", { name: /^inbox, last hour: [1-9]/ })).toBeVisible();
  // who is connected; each process says it every few seconds
  const widget = await context.newPage();
  await widget.goto(host.inboxPage("/watched", `<stentor-inbox token-url="/token?for=${person}"></stentor-inbox>`));
  await live(widget);
  await page.bringToFront();
  await expect(page.getByText(/^(person|people), on [1-9]/)).toBeVisible({ timeout: 20_000 });
});

test("a notification is found by its recipient, seen on each channel, and sent again", async ({ page, stentor, person }) => {
  await aDay(stentor, person);
  await enter(page, stentor);
  await page.getByRole("link", { name: "Notifications" }).click();
  await page.getByLabel("Recipient").fill(person);
  await page.getByLabel("Channel").selectOption("email");
  await page.getByRole("button", { name: "Find" }).click();
  await expect(page).toHaveURL(new RegExp(`recipient=${person}`));
  await page.getByRole("link", { name: "card-repayment-due" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Your card payment is due");
  const words = page.locator("#rendered");
  await expect(words.frameLocator("iframe").getByText("is ready")).toBeVisible();
  await page.getByRole("button", { name: "email en" }).click();
  await expect(words.getByText("Subject")).toBeVisible();
  await expect(page.getByRole("button", { name: "email en" })).toHaveAttribute("aria-pressed", "true");
  await page.getByRole("button", { name: "sms zh-CN" }).click();
  await expect(words.getByText("6222")).toBeVisible();

  let asked = "";
  page.once("dialog", (dialog) => { asked = dialog.message(); void dialog.dismiss(); });
  await page.getByRole("button", { name: "Send again", exact: true }).click();
  expect(asked).toContain(person);
  await expect(page.getByRole("status")).toHaveCount(0);
  page.once("dialog", (dialog) => void dialog.accept());
  await page.getByRole("button", { name: "Send again", exact: true }).click();
  await expect(page.getByRole("status")).toContainText(`Sent again to ${person}`);
});

test("addresses are shown to who asks, and the asking is on record", async ({ page, stentor, person }) => {
  await aDay(stentor, person);
  await enter(page, stentor);
  await page.goto(`${stentor.url}/console/recipients/${person}`);
  await expect(page.getByText(`${person}@example.com`)).toHaveCount(0);
  await page.getByRole("button", { name: "Show addresses" }).click();
  await expect(page.getByText(`${person}@example.com`)).toBeVisible();
  await page.goto(`${stentor.url}/console/audit?action=address.reveal`);
  await expect(page.getByRole("row", { name: person })).toBeVisible();
});

test("a provider is tested, and the answer appears in its place", async ({ page, stentor }) => {
  await enter(page, stentor);
  await page.goto(`${stentor.url}/console/providers`);
  await page.getByLabel("Where to send a test by capture").first().fill("somebody@example.com");
  await page.getByRole("button", { name: "Send a test" }).first().click();
  await expect(page.getByText("the provider took it")).toBeVisible();
});

test("dead letters are looked into, ticked all at once, and discarded after a question", async ({ page, ownStentor: stentor }) => {
  for (const job of ["j1", "j2", "j3"]) bury(stentor, job);
  await enter(page, stentor);
  const rows = page.getByRole("row").filter({ hasText: "sms" });
  await expect.poll(async () => {
    await page.goto(`${stentor.url}/console/dead-letters`);
    return rows.count();
  }).toBe(3);
  await rows.first().getByText("Look").click();
  await expect(rows.first().locator("pre")).toContainText("no delivery");
  await expect(page.getByText("+491701234567")).toHaveCount(0);
  await expectAccessible(page);
  await page.getByLabel("Tick all on this page").check();
  await rows.last().getByRole("checkbox").uncheck();
  const asked: string[] = [];
  page.once("dialog", (dialog) => { asked.push(dialog.message()); void dialog.dismiss(); });
  await page.getByRole("button", { name: "Discard ticked" }).click();
  await expect(rows).toHaveCount(3);
  page.once("dialog", (dialog) => { asked.push(dialog.message()); void dialog.accept(); });
  await page.getByRole("button", { name: "Discard ticked" }).click();
  await expect(page.getByRole("status")).toHaveText("2 letters were discarded.");
  await expect(rows).toHaveCount(1);
  expect(asked[0]).toContain("never done");
  await page.goto(`${stentor.url}/console/audit?action=dead_letter.discard`);
  await expect(page.getByRole("row").filter({ hasText: "done" })).toHaveCount(2);
});

test("what was sent before is there when the overview opens, and what is scheduled is listed with its time", async ({ page, stentor, person }) => {
  await stentor.say(person, "Before");
  await stentor.send([person], { content: { title: `Later for ${person}` }, send_at: new Date(Date.now() + 36e5).toISOString() });
  await enter(page, stentor);
  await expect(page.getByRole("cell", { name: person }).first()).toBeVisible();
  await page.goto(`${stentor.url}/console/notifications?state=scheduled`);
  await expect(page.getByRole("row", { name: `Later for ${person}` })).toContainText("scheduled for");
  await expectAccessible(page);
});

test("who is not signed in is led back to where they wanted to go", async ({ page, stentor }) => {
  await page.goto(`${stentor.url}/console/queues`);
  await expect(page.getByLabel("Operator key")).toBeFocused();
  await page.getByLabel("Operator key").fill("stn_oper_wrong_key");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("not valid");
  await page.getByLabel("Operator key").fill(stentor.ready.operator_key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Queues" })).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByLabel("Operator key")).toBeVisible();
});

test("who was signed out elsewhere is led to the door, by what is live and by what is pressed", async ({ context, stentor, person }) => {
  await aDay(stentor, person);
  const watching = await context.newPage();
  await enter(watching, stentor);
  const other = await context.newPage();
  await other.goto(`${stentor.url}/console/recipients/${person}`);
  await expect(other.getByRole("button", { name: "Show addresses" })).toBeVisible();
  const third = await context.newPage();
  await third.goto(`${stentor.url}/console/queues`);
  await third.getByRole("button", { name: "Sign out" }).click();
  await expect(third.getByLabel("Operator key")).toBeVisible();
  await other.getByRole("button", { name: "Show addresses" }).click();
  await expect(other.getByLabel("Operator key")).toBeVisible();
  await stentor.say(person, "Something happens");
  test.slow(); // a page in the background has its timers slowed down
  await watching.bringToFront();
  await expect(watching.getByLabel("Operator key")).toBeVisible({ timeout: 40_000 });
});

for (const [how, fail] of [
  ["is not answered", (route: Route) => route.abort()],
  ["is answered with a problem", (route: Route) => route.fulfill({ status: 503, body: "{}" })],
] as const) {
  test(`what is live says so when its first connection ${how}, and is live after all`, async ({ page, stentor, person }) => {
    let failed = 0;
    await page.route("**/console/live*", (route) => (failed++ < 2 ? fail(route) : route.continue()));
    await enter(page, stentor);
    await expect(page.getByRole("status").filter({ hasText: "Not live" })).toBeVisible();
    await stentor.say(person, "Hello");
    await expect(page.getByRole("cell", { name: person }).first()).toBeVisible({ timeout: 20_000 });
    await expect(page.getByText("Not live")).toBeHidden();
  });
}

test("what is live says so when it is not, and is live again by itself", async ({ page, ownStentor: stentor, person }) => {
  await enter(page, stentor);
  await stentor.kill();
  // The console's library tries again after a pause that grows, by chance, before it says that something is wrong.
  test.slow();
  await expect(page.getByRole("status").filter({ hasText: "Not live" })).toBeVisible({ timeout: 30_000 });
  await expectAccessible(page);
  await stentor.run();
  await stentor.say(person, "Hello again");
  await expect(page.getByRole("cell", { name: person }).first()).toBeVisible({ timeout: 20_000 });
  await expect(page.getByText("Not live")).toBeHidden();
});

// The console when something is wrong: SQL is away, or the console is opened over plain HTTP. What pages say then is accessible, and fits.
import type { Page } from "@playwright/test";

import { aDay, enter, PAGES } from "../src/console.ts";
import { expect, expectAccessible, test as base } from "../src/fixtures.ts";
import { picture } from "../src/pictures.ts";
import { Serve } from "../src/serve.ts";

const test = base.extend<{ serve: Serve }>({
  serve: async ({}, use) => {
    const serve = await Serve.start();
    await use(serve);
    await serve.stop();
  },
});

const LOOKS = [
  ["light", { colorScheme: "light", viewport: { width: 1280, height: 800 } }],
  ["dark", { colorScheme: "dark", viewport: { width: 1280, height: 800 } }],
  ["phone", { colorScheme: "light", viewport: { width: 390, height: 844 } }],
] as const;

/** Looks at the page as it is; of those that have a name a picture is taken. */
async function lookAt(page: Page, name?: string): Promise<void> {
  await expectAccessible(page);
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(wider, `${page.url()} is wider than the window`).toBeLessThanOrEqual(0);
  if (name) await picture(page, name);
}

/** What each page answers then: of those that show nothing, which are alike, one. */
const ANSWERS: Record<string, number> = {
  overview: 200, queues: 200, "dead-letters": 200, providers: 200, settings: 200, templates: 503, notifications: 503,
};
/** What is looked at in every look. */
const PICTURED = ["overview", "notifications"];

test("with SQL away each page says so, is accessible and fits", async ({ newBrowser, serve: stentor }) => {
  test.setTimeout(120_000);
  const id = await aDay(stentor, "maria");
  const pages: [look: string, page: Page][] = [];
  for (const [look, options] of LOOKS) {
    const page = await (await newBrowser(options)).newPage();
    await enter(page, stentor);
    pages.push([look, page]);
  }
  await stentor.postgres.kill();
  for (const [look, page] of pages) {
    for (const [name, path] of PAGES(id, "maria")) {
      if (!(name! in ANSWERS) || (look !== "light" && !PICTURED.includes(name!))) continue;
      const answer = (await page.goto(stentor.url + path))!;
      expect(answer.status(), name).toBe(ANSWERS[name!]);
      await expect(page.getByRole("alert"), `${name} says it once`).toHaveText(/^\s*The archive \(SQL\) does not answer/);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await expect(page.getByRole("navigation", { name: "Console" }).getByRole("link")).toHaveCount(12);
      await lookAt(page, PICTURED.includes(name!) ? `console-sql-away-${name}-${look}` : undefined);
    }
  }
});

test("with SQL away the door, what a page asks for, and the studio say so as well", async ({ newBrowser, serve: stentor }) => {
  test.setTimeout(120_000);
  await aDay(stentor, "maria");
  const page = await (await newBrowser(LOOKS[0][1])).newPage();
  await enter(page, stentor);
  await page.goto(`${stentor.url}/console/recipients/maria`);
  await expect(page.getByRole("button", { name: "Show addresses" })).toBeVisible();
  await stentor.postgres.kill();
  await page.getByRole("button", { name: "Show addresses" }).click();
  await expect(page.getByRole("alert")).toContainText("The archive (SQL) does not answer");
  await lookAt(page);

  const studio = page.locator("#studio");
  await page.goto(`${stentor.url}/console/templates/card-repayment-due`);
  await expect(studio.getByRole("status")).toHaveText("Reading it…");
  await lookAt(page);
  // what was in use goes on from memory; what was not cannot be read, and nothing is written on it
  await expect(page.getByRole("tabpanel")).toContainText("In the list", { timeout: 20_000 });
  await lookAt(page);
  await page.goto(`${stentor.url}/console/templates/never-used?new`);
  await expect(studio.getByRole("alert")).toContainText("the archive (SQL) does not answer", { timeout: 20_000 });
  await expect(studio.getByRole("button")).toHaveText(["Try again"]);
  await lookAt(page, "console-sql-away-studio-light");

  for (const [look, options] of LOOKS) {
    const stranger = await (await newBrowser(options)).newPage();
    await stranger.goto(`${stentor.url}/console/login`);
    await stranger.getByLabel("Operator key").fill(stentor.ready.operator_key);
    await stranger.getByRole("button", { name: "Sign in" }).click();
    await expect(stranger.getByRole("alert")).toContainText("The archive (SQL) does not answer");
    await lookAt(stranger, `console-sql-away-door-${look}`);
  }
});

for (const [look, options] of LOOKS) {
  test(`over plain HTTP it is said why nobody can be let in, ${look}`, async ({ newBrowser, stentor }) => {
    const page = await (await newBrowser(options)).newPage();
    const { port } = new URL(stentor.url);
    await page.goto(`http://ops.example:${port}/console/login`); // this machine, by the name that playwright.config.ts gives it
    await page.getByLabel("Operator key").fill(stentor.ready.operator_key);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("alert")).toContainText("Put TLS in front of the console");
    await expect(page.getByLabel("Operator key")).toBeFocused();
    expect(await page.context().cookies(), "no session began").toEqual([]);
    await lookAt(page, `console-plain-http-${look}`);
  });
}

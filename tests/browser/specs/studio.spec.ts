// The studio: an author writes a template, sees it on every channel, is told of mistakes, publishes and takes back.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, expectAccessible, test } from "../src/fixtures.ts";
import { picture } from "../src/pictures.ts";
import { card, inFrame, open, template, write } from "../src/studio.ts";

test("a message is seen on every channel, in each language, with each sample", async ({ page, stentor }) => {
  const key = await template(stentor);
  await open(page, stentor, key);
  const panel = page.getByRole("tabpanel");
  await expect(card(page)).toContainText("Hello Ada");
  await expect(inFrame(page).getByText("Express: your parcel of 2.5 kg")).toBeVisible();
  await page.getByLabel("Language").selectOption("de");
  await expect(card(page)).toContainText("Hallo Ada");
  await page.getByLabel("Sample").selectOption("bo");
  await expect(card(page)).toContainText("Hallo Bo");
  for (const tab of ["Mail", "Phone", "Dark"]) {
    await page.getByRole("tab", { name: tab }).click();
    await expect(panel).toContainText("Hallo Bo");
    await expect(inFrame(page).getByText("Paket von 1 kg").last()).toBeVisible();
  }
  await page.getByRole("tab", { name: "Plain text" }).click();
  await expect(panel).toContainText("Ihr Paket von 1 kg ist unterwegs.");
  await page.getByRole("tab", { name: "Source" }).click();
  await expect(panel).toContainText("<!doctype html>");
  await page.getByRole("tab", { name: "SMS" }).click();
  await expect(panel.locator(".bubble")).toHaveText("Ihr Paket von 1 kg ist unterwegs.");
  await expect(panel).toContainText("1 segment, 33 of 160 in GSM-7");
  await expectAccessible(page);
});

test("the data are changed in a form that schema.json describes", async ({ page, stentor }) => {
  await open(page, stentor, await template(stentor));
  await page.getByText("Change the data").click();
  const form = page.locator(".form");
  await expect(form.getByLabel("name")).toBeVisible();
  await expectAccessible(page);
  await form.getByLabel("name").fill("Grace");
  await form.getByLabel("weight").fill("12.25");
  await form.getByLabel("express").uncheck();
  await expect(card(page)).toContainText("Hello Grace");
  await expect(inFrame(page).getByText("Your parcel of 12.25 kg")).toBeVisible();
  await expect(page.getByLabel("Sample")).toHaveValue("");
  await page.getByLabel("Sample").selectOption("ada");
  await expect(card(page)).toContainText("Hello Ada");
});

test("a mistake is named where it stands and keeps the rest from being published", async ({ page, stentor }) => {
  const key = await template(stentor);
  await open(page, stentor, key);
  await write(page, '+++\ntitle = "Hello {{name}}"\nsummary = "{{#if name}}never closed"\n+++\n\nHello\n');
  const problems = page.getByRole("region", { name: "Problems" });
  await expect(problems.getByRole("button").first()).toContainText("en/content.md");
  await expect(page.locator(".cm-lintRange-error")).toBeVisible();
  await page.getByRole("button", { name: "schema.json" }).click();
  await problems.getByRole("button").first().click();
  await expect(page.getByRole("heading", { name: "en/content.md" })).toBeVisible();
  await expect(page.locator(".cm-content")).toBeFocused();
  await page.keyboard.press("ControlOrMeta+s");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("from being published");
  await expect(dialog.getByRole("button", { name: "Publish" })).toBeDisabled();
  await expectAccessible(page);
  await page.keyboard.press("Escape");
  // What was written is kept when the page is loaded again.
  await page.reload();
  await expect(page.locator(".cm-content")).toContainText("never closed");
  await page.getByRole("button", { name: "Discard changes" }).click();
  await page.getByRole("button", { name: "Discard", exact: true }).click();
  await expect(problems).toContainText("No problems");
  await expect(card(page)).toContainText("Hello Ada");
});

test("what is published is said from then on, and one step takes it back", async ({ page, stentor, person }) => {
  const key = await template(stentor);
  await open(page, stentor, key);
  const source = (await stentor.api("GET", `/v1/templates/${key}`)).files["en/content.md"] as string;
  await write(page, source.replace("Hello", "Good news,"));
  await expect(card(page)).toContainText("Good news, Ada");
  await page.getByRole("button", { name: "Publish…" }).click();
  await expect(page.getByRole("dialog")).toContainText('+title = "Good news, {{name}}"');
  await expectAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "Publish" }).click();
  await expect(page.getByRole("status").first()).toContainText("Version 2 is live.");
  const data = { name: "Eve", tracking: "N-3", weight: 3, express: false };
  const first = async () => (await stentor.api("GET", `/v1/recipients/${person}/inbox`)).items.map((item: any) => item.title);
  await stentor.send([person], { template: key, data, channels: ["inbox"] });
  await expect.poll(first).toEqual(["Good news, Eve"]);
  await page.getByRole("button", { name: "Versions" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Compare" }).click();
  await expect(page.getByRole("dialog")).toContainText('-title = "Hello {{name}}"');
  await expectAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "Make live" }).click();
  await expect(page.getByRole("status").first()).toContainText("Version 1 is live.");
  await stentor.send([person], { template: key, data, channels: ["inbox"] });
  await expect.poll(first).toEqual(["Hello Eve", "Good news, Eve"]);
});

test("versions are listed from the newest on, and older ones come when they are asked for", async ({ page, stentor }) => {
  test.setTimeout(90_000); // each of the 52 is checked as an author's is
  const key = await template(stentor);
  const { files } = await stentor.api("GET", `/v1/templates/${key}`);
  for (let n = 2; n <= 52; n += 1) {
    await stentor.api("PUT", `/v1/templates/${key}`, { files: { ...files, "en/content.md": files["en/content.md"].replace("Hello", `Hello ${n}`) }, publish: false });
  }
  await open(page, stentor, key);
  await page.getByRole("button", { name: "Versions" }).click();
  const rows = page.getByRole("dialog").locator("tbody tr");
  await expect(rows).toHaveCount(50);
  await expect(rows.first()).toContainText("Version 52");
  await page.getByRole("button", { name: "Older versions" }).click();
  await expect(rows).toHaveCount(52);
  await expect(rows.last()).toContainText("Version 1");
  await expect(page.getByRole("button", { name: "Older versions" })).toBeHidden();
});

test("whoever publishes over what another published meanwhile is told", async ({ page, stentor }) => {
  const key = await template(stentor);
  await open(page, stentor, key);
  const { files } = await stentor.api("GET", `/v1/templates/${key}`);
  const theirs = { ...files, "en/content.md": files["en/content.md"].replace("Hello", "Theirs") };
  await stentor.api("PUT", `/v1/templates/${key}`, { files: theirs, publish: true });
  await write(page, files["en/content.md"].replace("Hello", "Ours"));
  await page.getByRole("button", { name: "Publish…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Publish" }).click();
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText("somebody published meanwhile");
  await expectAccessible(page);
  expect((await stentor.api("GET", `/v1/templates/${key}`)).files["en/content.md"]).toContain("Theirs");
});

test("a test is sent as it stands, by mail and SMS, to one person", async ({ page, stentor }) => {
  const key = await template(stentor);
  await open(page, stentor, key);
  await page.getByLabel("Language").selectOption("de");
  await page.getByRole("button", { name: "Send me a test" }).click();
  await page.getByLabel("To the recipient with this id").fill(stentor.ready.recipient);
  await expectAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("status").first()).toContainText("A test is on its way");
  await expect(page.getByRole("link", { name: "what becomes of it" })).toHaveAttribute("href", /^\/console\/notifications\/[0-9a-f-]+\?app=/);
  const sms = join(stentor.ready.outbox, "sms");
  await expect.poll(() => readdirSync(sms).map((file) => readFileSync(join(sms, file), "utf8")).join()).toContain("Ihr Paket von 2,5 kg");
});

test("nothing that a template writes runs, and the page's policy holds", async ({ page, stentor }) => {
  const evil = `<mjml><mj-body><mj-section><mj-column><mj-raw><script>top.document.title = "broken"; parent.hurt = 1</script>
    <img src="x" onerror="parent.hurt = 2"></mj-raw><mj-text>{{mail.title}}</mj-text></mj-column></mj-section></mj-body></mjml>`;
  const key = await template(stentor);
  await open(page, stentor, key);
  await page.getByRole("button", { name: "New file" }).click();
  await page.getByLabel("Its path").fill("en/email.mjml");
  await page.getByRole("button", { name: "Make it" }).click();
  await write(page, evil);
  await page.getByRole("tab", { name: "Mail" }).click();
  await expect(page.getByRole("tabpanel")).toContainText("Hello Ada");
  const frame = page.getByRole("tabpanel").locator("iframe");
  if (await frame.count()) await expect(frame).toHaveAttribute("sandbox", "");
  expect(await page.evaluate(() => (window as any).hurt)).toBeUndefined();
  expect(await page.title()).not.toContain("broken");
  const answer = await page.request.get(page.url());
  expect(answer.headers()["content-security-policy"]).toContain("script-src 'self';");
});

test("the studio works with the keyboard alone", async ({ page, stentor }) => {
  await open(page, stentor, await template(stentor));
  await page.keyboard.press("Alt+7");
  await expect(page.getByRole("tab", { name: "SMS" })).toHaveAttribute("aria-selected", "true");
  await page.getByRole("tab", { name: "SMS" }).focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: "Inbox" })).toBeFocused();
  // The editor is no trap: Tab leaves it.
  await page.locator(".cm-content").focus();
  await page.keyboard.press("Tab");
  await expect(page.locator(".cm-content")).not.toBeFocused();
  await page.keyboard.press("ControlOrMeta+s");
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
});

test("a new template is begun in the console", async ({ page, stentor }) => {
  await open(page, stentor, "welcome");
  await page.getByRole("link", { name: "Templates" }).first().click();
  const key = `new-${process.pid}`;
  await page.getByLabel("New template").fill(key);
  await page.getByRole("button", { name: "Begin" }).click();
  await expect(page.locator(".bar .state")).toHaveText("new, not published");
  await expect(card(page)).toContainText("What it is about");
  await expect(page.getByRole("region", { name: "Problems" })).toContainText("No problems");
  await page.getByRole("button", { name: "Publish…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Publish" }).click();
  await expect(page.locator(".bar .state")).toHaveText("live: version 1");
  expect((await stentor.api("GET", `/v1/templates/${key}`)).number).toBe(1);
});

test("a shared template is opened, and published as the app's own", async ({ page, ownStentor: stentor }) => {
  await open(page, stentor, "card-repayment-due");
  await expect(page.locator(".bar .state")).toHaveText("live: shared template");
  await page.getByRole("tab", { name: "Phone" }).click();
  await expect(page.getByRole("tabpanel").locator("iframe")).toBeVisible();
  await page.setViewportSize({ width: 390, height: 844 });
  await picture(page, "studio-narrow");
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.getByRole("button", { name: "Publish…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Publish" }).click();
  await expect(page.locator(".bar .state")).toHaveText("live: version 1");
  await page.goto(`${stentor.url}/console/templates?app=${stentor.ready.app}`);
  await expect(page.getByRole("row", { name: /card-repayment-due/ })).toContainText("own, over a shared one");
  await expectAccessible(page);
});

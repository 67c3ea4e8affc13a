// Every button and field of the studio that no other spec presses, with the mouse or by keyboard alone.
import { readdirSync } from "node:fs";
import { join } from "node:path";

import type { Page } from "@playwright/test";

import { expect, expectAccessible, test } from "../src/fixtures.ts";
import { card, inFrame, open, template, write } from "../src/studio.ts";

const dialog = (page: Page) => page.getByRole("dialog").last();
const state = (page: Page) => page.locator(".bar .state");
const said = (page: Page) => page.getByRole("status").first();
const problems = (page: Page) => page.getByRole("region", { name: "Problems" });
const file = (page: Page, name: string) => page.getByRole("navigation", { name: "Files" }).getByRole("button", { name });

/** Takes the choice that is offered. What has just appeared the editor does not take yet, lest it be chosen by accident. */
async function choose(page: Page, word: string): Promise<void> {
  await expect(page.getByRole("listbox", { name: "Completions" })).toContainText(word);
  await page.waitForFunction((since) => Date.now() - since > 100, await page.evaluate(() => Date.now()));
  await page.keyboard.press("Enter");
}

/** A template whose data are of every kind that the form knows. */
const MANY_KINDS = {
  "schema.json": JSON.stringify({
    type: "object", required: ["name", "size", "day", "stories"], additionalProperties: false,
    properties: {
      name: { type: "string" }, note: { type: "string" }, size: { enum: ["small", "large"] }, day: { type: "string", format: "date" },
      count: { type: "integer" }, gift: { type: "boolean" },
      stories: {
        type: "array",
        items: {
          type: "object", required: ["title"], additionalProperties: false,
          properties: { title: { type: "string" }, tags: { type: "array", items: { type: "string" } } },
        },
      },
      address: { type: "object", required: ["city"], additionalProperties: false, properties: { city: { type: "string" } } },
    },
  }),
  "samples/ada.json": JSON.stringify({ name: "Ada", size: "small", day: "2026-12-05", stories: [{ title: "First" }] }),
  "samples/bo.json": JSON.stringify({ name: "Bo", size: "large", day: "2026-12-06", stories: [] }),
  "de/content.md": '+++\ntitle = "Hallo {{name}}"\nsummary = "Eins."\n+++\n\nEins.\n',
  "en/content.md":
    '+++\ntitle = "Hello {{name}}"\nsummary = "A {{size}} one."\n+++\n\nOn {{date day}}.\n\n{{#each stories}}\n- {{title}}{{#if tags}}{{#each tags}} #{{this}}{{/each}}{{/if}}\n{{/each}}\n\n' +
    "{{#if note}}Note: {{note}}{{/if}} {{#if count}}{{number count}} of them{{/if}} {{#if gift}}A gift{{/if}} {{#if address}}to {{address.city}}{{/if}}\n",
};

test("the form has a field for each kind of data, and who adds or removes stays where they are", async ({ page, stentor }) => {
  await open(page, stentor, await template(stentor, MANY_KINDS));
  await page.getByText("Change the data").focus();
  await page.keyboard.press("Enter");
  const form = page.locator(".form");
  await form.getByLabel("size").selectOption("large");
  await form.getByLabel("day").fill("2027-01-02");
  await form.getByLabel("count").fill("7");
  await form.getByLabel("gift").check();
  await form.getByLabel("note").fill("ring twice");
  await form.getByLabel("city").fill("Bonn");
  const words = inFrame(page).locator("body");
  await expect(words).toContainText("On January 2, 2027.");
  await expect(words).toContainText("Note: ring twice 7 of them A gift to Bonn");
  await expect(card(page)).toContainText("A large one.");
  await form.getByLabel("note").fill("");
  await form.getByLabel("count").fill("");
  await expect(words).not.toContainText("Note");
  await expect(words).not.toContainText("of them");

  await form.getByRole("button", { name: "Add to stories" }).focus();
  await page.keyboard.press("Enter");
  await expect(form.getByLabel("title").nth(1)).toBeFocused();
  await page.keyboard.insertText("Second");
  await form.getByRole("button", { name: "Add to tags" }).nth(1).click();
  await page.keyboard.insertText("new");
  await expect(words).toContainText("Second #new");
  await form.getByRole("button", { name: "Remove stories 1" }).click();
  await expect(form.getByRole("button", { name: "Add to stories" })).toBeFocused();
  await expect(words).not.toContainText("First");
  await expect(words).toContainText("Second #new");
  await expect(problems(page)).toContainText("No problems");
  await expectAccessible(page);
});

test("a tag is completed with what the schema knows, and undone, found and gone through by keyboard", async ({ page, stentor }) => {
  await open(page, stentor, await template(stentor));
  const text = page.locator(".cm-content");
  await text.click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.type("Dear {{na");
  await choose(page, "name");
  await page.keyboard.type(", ");
  await page.keyboard.type("{{#i");
  await choose(page, "if");
  await page.keyboard.type("exp"); // its value is offered next
  await choose(page, "express");
  await page.keyboard.type("quick {{/i");
  await choose(page, "if");
  await expect(text).toContainText("Dear {{name}}, {{#if express}}quick {{/if}}");
  await expect(inFrame(page).getByText("Dear Ada, quick")).toBeVisible();
  await expect(problems(page)).toContainText("No problems");

  // A step of its own to be undone: apart from what was written before it, since the cursor was elsewhere, and in one piece.
  await page.keyboard.press("ControlOrMeta+Home");
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.insertText("{{nobody}}");
  await expect(problems(page).getByRole("button").first()).toContainText("`nobody`");
  await page.keyboard.press("ControlOrMeta+Home");
  await page.keyboard.press("F8");
  await expect(page.locator(".cm-tooltip-lint")).toContainText("nobody");
  await page.keyboard.press("ControlOrMeta+z");
  await expect(problems(page)).toContainText("No problems");

  await page.keyboard.press("ControlOrMeta+f");
  await page.keyboard.type("number");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  expect(await page.evaluate(() => getSelection()!.toString())).toBe("number");

  // Tab leaves the editor; with Ctrl+M it stays in.
  await page.keyboard.press("Control+m");
  await page.keyboard.press("Tab");
  await expect(text).toBeFocused();
  await expect(page.locator(".cm-activeLine")).toHaveText(/^\s{2}/);
  await page.keyboard.press("Control+m");
  await page.keyboard.press("Tab");
  await expect(text).not.toBeFocused();
});

test("each tab has a key, and arrows go through them", async ({ page, stentor }) => {
  await open(page, stentor, await template(stentor));
  const names = ["Inbox", "Mail", "Phone", "Dark", "Plain text", "Source", "SMS"];
  for (const [i, name] of names.entries()) {
    await page.keyboard.press(`Alt+${i + 1}`);
    await expect(page.getByRole("tab", { name })).toHaveAttribute("aria-selected", "true");
  }
  await page.getByRole("tab", { name: "SMS" }).focus();
  for (const name of [...names].reverse().slice(1)) {
    await page.keyboard.press("ArrowLeft");
    await expect(page.getByRole("tab", { name })).toBeFocused();
  }
  await page.keyboard.press("ArrowLeft");
  await expect(page.getByRole("tab", { name: "SMS" })).toBeFocused();
});

test("files are made and deleted, and a problem of a file that is not there offers to make it", async ({ page, stentor }) => {
  await open(page, stentor, await template(stentor));
  // A language begins as a copy of the one that is open.
  await page.getByRole("button", { name: "New file" }).click();
  await page.getByLabel("Its path").fill("de/content.md");
  await page.keyboard.press("Enter");
  await expect(dialog(page).getByRole("alert")).toHaveText("de/content.md is there already.");
  await page.getByLabel("Its path").fill("fr/content.md");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeHidden();
  await expect(page.locator(".cm-content")).toContainText("Hello {{name}}");
  await expect(page.getByLabel("Language")).toContainText("fr");

  const remove = async (name: string) => {
    await file(page, name).click();
    await page.getByRole("button", { name: "Delete file" }).click();
    await expect(dialog(page)).toContainText(`Delete ${name}?`);
  };
  await remove("samples/ada.json");
  await dialog(page).getByRole("button", { name: "Cancel" }).click();
  await expect(file(page, "samples/ada.json")).toBeVisible();
  await page.getByRole("button", { name: "Delete file" }).click();
  await dialog(page).getByRole("button", { name: "Close" }).click();
  for (const name of ["samples/ada.json", "samples/bo.json"]) {
    await remove(name);
    await dialog(page).getByRole("button", { name: "Delete", exact: true }).click();
    await expect(file(page, name)).toBeHidden();
  }
  await problems(page).getByRole("button", { name: "there is no sample" }).click();
  await expect(page.getByLabel("Its path")).toHaveValue("samples/example.json");
  await dialog(page).getByRole("button", { name: "Make it" }).click();
  await expect(problems(page)).toContainText("No problems");

  // The last file stays.
  const files = page.getByRole("navigation", { name: "Files" }).getByRole("button");
  for (let left = await files.count(); left > 1; left -= 1) {
    await page.getByRole("button", { name: "Delete file" }).click();
    await dialog(page).getByRole("button", { name: "Delete", exact: true }).click();
    await expect(files).toHaveCount(left - 1);
  }
  await expect(page.getByRole("button", { name: "Delete file" })).toBeHidden();
});

test("a draft is kept on record, opened and made live, and nothing that is written is lost without a question", async ({ page, stentor }) => {
  const key = await template(stentor);
  const live = async () => (await stentor.api("GET", `/v1/templates/${key}`)).number;
  await open(page, stentor, key);
  const { files } = await stentor.api("GET", `/v1/templates/${key}`);
  await write(page, files["en/content.md"].replace("Hello", "Good morning,"));
  await expect(card(page)).toContainText("Good morning, Ada");
  await page.getByRole("button", { name: "Publish…" }).click();
  await dialog(page).getByRole("button", { name: "Keep as a draft" }).click();
  await expect(said(page)).toContainText("Version 2 is on record as a draft.");
  expect(await live()).toBe(1);

  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.type("Not kept.");
  await page.getByRole("button", { name: "Versions" }).click();
  await dialog(page).getByRole("row", { name: "Version 1" }).getByRole("button", { name: "Open" }).click();
  await expect(dialog(page)).toContainText("en/content.md goes back to version 1");
  await expectAccessible(page);
  await dialog(page).getByRole("button", { name: "Cancel" }).click();
  await dialog(page).getByRole("row", { name: "Version 2" }).getByRole("button", { name: "Make live" }).click();
  await dialog(page).getByRole("button", { name: "Cancel" }).click();
  expect(await live()).toBe(1);
  await dialog(page).getByRole("row", { name: "Version 2" }).getByRole("button", { name: "Open" }).click();
  await dialog(page).getByRole("button", { name: "Discard" }).click();
  await expect(said(page)).toContainText("Version 2 is open; publish it to make it live.");
  await expect(state(page)).toHaveText("version 2");
  await expect(page.locator(".cm-content")).not.toContainText("Not kept.");
  await expect(card(page)).toContainText("Good morning, Ada");
  await expect(page.getByRole("dialog")).toBeHidden();
  await page.keyboard.press("ControlOrMeta+s");
  await dialog(page).getByRole("button", { name: "Publish", exact: true }).click();
  await expect(said(page)).toContainText("Version 2 is live.");
  expect(await live()).toBe(2);
});

test("what was written while another published is kept, is held against theirs, and can be published", async ({ page, stentor }) => {
  const key = await template(stentor);
  const { files } = await stentor.api("GET", `/v1/templates/${key}`);
  const publish = (word: string) =>
    stentor.api("PUT", `/v1/templates/${key}`, { files: { ...files, "en/content.md": files["en/content.md"].replace("Hello", word) }, publish: true });
  await open(page, stentor, key);
  await write(page, files["en/content.md"].replace("Hello", "Ours"));
  await expect(card(page)).toContainText("Ours Ada");
  await publish("Theirs");
  await page.reload();
  await expect(card(page)).toContainText("Ours Ada");
  await expect(said(page)).toContainText("What you wrote is kept");
  await publish("Theirs again");
  await page.keyboard.press("ControlOrMeta+s");
  await expect(dialog(page)).toContainText('-title = "Theirs {{name}}"');
  await dialog(page).getByRole("button", { name: "Publish", exact: true }).click();
  await expect(dialog(page).getByRole("alert")).toContainText("somebody published meanwhile");
  await expect(dialog(page)).toContainText('-title = "Theirs again {{name}}"');
  await dialog(page).getByRole("button", { name: "Publish", exact: true }).click();
  await expect(said(page)).toContainText("Version 4 is live.");
  expect((await stentor.api("GET", `/v1/templates/${key}`)).files["en/content.md"]).toContain("Ours");
});

test("a new template has no versions yet, is begun anew, and goes on from a draft", async ({ page, stentor }) => {
  const key = `fresh-${process.pid}`;
  await open(page, stentor, `${key}?new`);
  await expect(page.getByRole("button", { name: "Discard changes" })).toBeHidden();
  await page.getByRole("button", { name: "Versions" }).click();
  await expect(dialog(page)).toContainText("There is none yet");
  await dialog(page).locator("footer").getByRole("button", { name: "Close" }).click();
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.type("More.");
  await page.getByRole("button", { name: "Discard changes" }).click();
  await expect(dialog(page)).toContainText("what a new template begins with");
  await dialog(page).getByRole("button", { name: "Discard" }).click();
  await expect(page.locator(".cm-content")).not.toContainText("More.");
  await expect(page.getByRole("dialog")).toBeHidden();
  await page.keyboard.press("ControlOrMeta+s");
  await dialog(page).getByRole("button", { name: "Keep as a draft" }).click();
  await expect(said(page)).toContainText("Version 1 is on record as a draft.");
  await page.evaluate(() => sessionStorage.clear());
  await page.getByRole("navigation").getByRole("link", { name: "Templates" }).click();
  const row = page.getByRole("row").filter({ has: page.getByRole("cell", { name: key, exact: true }) });
  await expect(row).toContainText("draft, never live yet");
  await expectAccessible(page);
  await page.getByRole("link", { name: key, exact: true }).click();
  await expect(said(page)).toContainText("Version 1 is a draft: nothing is live yet.");
  await expect(state(page)).toHaveText("version 1");
  await page.keyboard.press("ControlOrMeta+s");
  await dialog(page).getByRole("button", { name: "Publish", exact: true }).click();
  await expect(state(page)).toHaveText("live: version 1");
  await page.getByRole("navigation").getByRole("link", { name: "Templates" }).click();
  await expect(row).toContainText("own");
  await expect(row).not.toContainText("draft");
});

test("a test goes out on the ticked channels alone, and its story is a click away", async ({ page, ownStentor: stentor }) => {
  await open(page, stentor, await template(stentor));
  const sent = (folder: string) => readdirSync(join(stentor.ready.outbox, folder)).length;
  await page.getByRole("button", { name: "Send me a test" }).click();
  await expectAccessible(page);
  await page.getByLabel("To the recipient with this id").fill("");
  await dialog(page).getByRole("button", { name: "Send" }).click();
  await expect(page.getByLabel("To the recipient with this id")).toBeFocused(); // it asks for one
  await page.getByLabel("To the recipient with this id").fill(stentor.ready.recipient);
  for (const channel of ["inbox", "email", "sms"]) await dialog(page).getByLabel(channel).uncheck();
  await dialog(page).getByRole("button", { name: "Send" }).click();
  await expect(dialog(page).getByRole("alert")).toContainText("at least one channel");
  await dialog(page).getByLabel("email").check();
  await page.getByLabel("To the recipient with this id").press("Enter");
  await expect(said(page)).toContainText("A test is on its way");
  await expect.poll(() => sent("mail")).toBe(1);
  const story = page.waitForEvent("popup");
  await page.getByRole("link", { name: "what becomes of it" }).click();
  const told = await story;
  await expect(async () => {
    await told.reload(); // the page is of the moment, and what was sent is on record a moment later
    await expect(told.getByText("email sent", { exact: true })).toBeVisible({ timeout: 1_000 });
  }).toPass();
  expect(sent("sms")).toBe(0);
});

test("an app goes back to the shared template by a button", async ({ page, ownStentor: stentor }) => {
  await open(page, stentor, "welcome");
  await page.getByRole("button", { name: "Versions" }).click();
  await expect(dialog(page)).toContainText("There is only the shared template");
  await page.keyboard.press("Escape");
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.type("Yours, the bank.");
  await page.keyboard.press("ControlOrMeta+s");
  await dialog(page).getByRole("button", { name: "Publish", exact: true }).click();
  await expect(state(page)).toHaveText("live: version 1");
  await page.getByRole("button", { name: "Versions" }).click();
  await dialog(page).getByRole("button", { name: "Back to the shared template" }).click();
  await expect(said(page)).toContainText("The shared template is live.");
  await expect(state(page)).toHaveText("live: shared template");
  await expect(page.locator(".cm-content")).not.toContainText("Yours, the bank.");
  await page.getByRole("link", { name: "Templates" }).last().click();
  await expect(page.getByRole("heading", { name: "Templates" })).toBeVisible();
});

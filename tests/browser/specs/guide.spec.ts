// Follows docs/AUTHORS.md step by step, and takes its pictures.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Page } from "@playwright/test";

import { expect, test } from "../src/fixtures.ts";
import { picture } from "../src/pictures.ts";
import { ROOT } from "../src/stentor.ts";

const GUIDE = readFileSync(join(ROOT, "docs/AUTHORS.md"), "utf8");
const BINARY = process.env.STENTOR_BINARY ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug/stentor");

/** The blocks of a language, as the guide has them. */
const blocks = (language: string) => [...GUIDE.matchAll(new RegExp("```" + language + "\\n(.*?)```", "gs"))].map((found) => found[1]!);

/** The card, as the widget draws it in its list. */
const card = (page: Page) => page.getByRole("tabpanel").frameLocator("iframe.listed").locator(".card");

test("the guide can be followed", async ({ page, ownStentor: stentor }) => {
  test.setTimeout(180_000); // a dozen programs and twice as many previews, on a machine that may have other things to do
  const here = mkdtempSync(join(tmpdir(), "stentor-guide-"));
  symlinkSync(BINARY, join(here, "stentor"));
  const { console_url } = stentor.ready as unknown as { console_url: string };
  const shell = (lines: string, cwd = join(here, "our-words")) =>
    execFileSync("sh", ["-ec", lines], {
      cwd, encoding: "utf8",
      env: { HOME: here, PATH: `${here}:${process.env.PATH}`, STENTOR_API_URL: stentor.url, STENTOR_API_KEY: stentor.ready.api_key },
    });
  const [begin, check, inTheShell] = blocks("sh");
  const panel = page.getByRole("tabpanel");
  const dialog = page.getByRole("dialog");
  const words = page.locator(".cm-content");
  const problems = page.getByRole("region", { name: "Problems" });

  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto(console_url);
  await page.waitForURL(/\/console(\?|$)/);
  await page.getByRole("link", { name: "Templates" }).click();
  await page.getByLabel("New template").fill("parcel-sent");
  await page.getByRole("button", { name: "Begin" }).click();
  await expect(panel).toContainText("In the list");
  for (const file of [...GUIDE.matchAll(/^\| `(\S+\.\w+)` \|/gm)].map((found) => found[1]!)) {
    await expect(page.getByRole("navigation", { name: "Files" }).getByRole("button", { name: file })).toBeVisible();
  }
  const rewrite = async (file: string, text: string) => {
    await page.getByRole("navigation", { name: "Files" }).getByRole("button", { name: file }).click();
    await words.click();
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.insertText(text);
  };
  const [schema, sample] = blocks("json");
  await rewrite("schema.json", schema!);
  await rewrite("samples/example.json", sample!);
  await rewrite("en/content.md", blocks("markdown")[0]!);
  await expect(card(page)).toContainText("Your parcel is on its way");
  await expect(panel.frameLocator("iframe.page").getByText("It weighs 2.5 kg.")).toBeVisible();
  await expect(problems).toContainText("No problems");
  await picture(page, "guide-studio");
  await page.getByRole("button", { name: "New file" }).click();
  await page.getByLabel("Its path").fill("de/content.md");
  await page.keyboard.press("Enter");
  await expect(words).toContainText("Your parcel is on its way");
  await page.getByLabel("Language").selectOption("de");
  await page.getByRole("button", { name: "en/content.md" }).click();
  await page.getByLabel("Language").selectOption("en");
  await page.getByRole("tab", { name: "Phone" }).click();
  await expect(panel.frameLocator("iframe").getByText("on Friday").last()).toBeVisible();
  await picture(page, "guide-phone");
  await page.getByRole("tab", { name: "SMS" }).click();
  await expect(panel).toContainText("1 segment");
  await picture(page, "guide-sms");

  await words.click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.insertText("\n{{#if name}}Thank you.\n");
  await expect(problems.getByRole("button")).toContainText("en/content.md");
  await picture(page, "guide-mistake");
  await page.keyboard.press("ControlOrMeta+z");
  await expect(problems).toContainText("No problems");

  await page.getByRole("button", { name: "Send me a test" }).click();
  await page.getByLabel("To the recipient with this id").fill(stentor.ready.recipient);
  await dialog.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("status").first()).toContainText("A test is on its way");
  await page.keyboard.press("ControlOrMeta+s");
  await dialog.getByRole("button", { name: "Publish" }).click();
  await expect(page.getByRole("status").first()).toContainText("Version 1 is live.");
  await rewrite("en/content.md", blocks("markdown")[0]!.replaceAll("Friday", "Saturday"));
  await expect(panel.locator(".bubble")).toContainText("It arrives on Saturday.");
  await page.keyboard.press("ControlOrMeta+s");
  await expect(dialog).toContainText("+summary = \"It arrives on Saturday.\"");
  await picture(page, "guide-publish");
  await dialog.getByRole("button", { name: "Publish" }).click();
  await expect(page.getByRole("status").first()).toContainText("Version 2 is live.");
  await page.getByRole("button", { name: "Versions" }).click();
  await expect(dialog.getByRole("row")).toHaveCount(3);
  await picture(page, "guide-versions");
  await page.keyboard.press("Escape");

  shell(begin!, here);
  expect(shell(check!)).toContain("parcel-late is live: version 1");
  const said = shell(inTheShell!.replace(/(templates diff [^#]*)/, "$1 || [ $? = 1 ] ")); // two versions differ
  expect(said).toContain("-summary = \"It arrives on Friday.\"");
  expect(said).toContain("parcel-sent: version 1");
  await page.reload();
  await expect(page.locator(".bar .state")).toHaveText("live: version 1");
});

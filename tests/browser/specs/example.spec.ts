// The page of docs/examples: what somebody copies has to work.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "../src/fixtures.ts";
import { ROOT } from "../src/stentor.ts";

test("the page of ten lines has a working inbox", async ({ page, host, stentor, faults }) => {
  const source = readFileSync(join(ROOT, "docs/examples/inbox.html"), "utf8");
  expect(source.trim().split("\n").length).toBeLessThanOrEqual(10);
  expect(source, "it fits a phone").toContain('name="viewport" content="width=device-width');
  await page.goto(host.page("/example", source.replaceAll("http://127.0.0.1:8080", host.url)));
  const bell = page.getByRole("button", { name: /^Notifications/ });
  await expect(bell).toBeVisible();
  await stentor.say("ada", "From the docs");
  await bell.click();
  await expect(page.getByRole("button", { name: /From the docs/ }).first()).toBeVisible();
  faults.length = 0; // it names no icon, so Chromium asks for one
});

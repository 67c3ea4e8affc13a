// Pictures of the real pages: with PICTURES=1 those that docs show, with PICTURES=all every one that is kept there, with PICTURES=FOLDER
// all of them, to be looked at. A run without changes no file of the repository.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import type { Locator, Page } from "@playwright/test";

import { ROOT } from "./stentor.ts";

const DOCS = process.env.PICTURES === "1";
const DIR = DOCS || process.env.PICTURES === "all" ? join(ROOT, "docs/images") : process.env.PICTURES;
/** Those that docs show: few, since each change of one stays in the repository. */
const KEPT = ["demo", "inbox", "inbox-phone-rtl-dark", "inbox-page-dark", "guide-studio", "guide-phone", "guide-sms", "guide-mistake", "guide-publish", "guide-versions"];

/** Takes a screenshot, if pictures are asked for. */
export async function picture(what: Page | Locator, name: string): Promise<void> {
  if (!DIR || (DOCS && !KEPT.includes(name))) return;
  await mkdir(DIR, { recursive: true });
  await what.screenshot({ path: join(DIR, `${name}.png`), animations: "disabled" });
}

// The pictures of the docs, made from the real pages: only with PICTURES=1, so that a run changes no file of the repository.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import type { Locator, Page } from "@playwright/test";

import { ROOT } from "./stentor.ts";

/** Where the pictures go: docs/images for `PICTURES=1`, else the folder that it names. */
const DIR = process.env.PICTURES === "1" ? join(ROOT, "docs/images") : process.env.PICTURES;

/** Takes a screenshot, if pictures are asked for. */
export async function picture(what: Page | Locator, name: string): Promise<void> {
  if (!DIR) return;
  await mkdir(DIR, { recursive: true });
  await what.screenshot({ path: join(DIR, `${name}.png`), animations: "disabled" });
}

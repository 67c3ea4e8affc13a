// What a spec is given: a Stentor (one a worker), the business's site in front of it (one a test), and pages that fail the
// test if their policy is broken or a script throws.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { test as base, expect, type BrowserContext, type Page } from "@playwright/test";

import { Host } from "./host.ts";
import { ROOT, Stentor } from "./stentor.ts";

export { expect };

interface OfTest {
  /** The business's site, which passes on to `stentor`. */
  host: Host;
  /** A recipient that no other test has. */
  person: string;
  /** A Stentor that the test may kill. */
  ownStentor: Stentor;
  /** Another browser (cookies, storage and tabs of its own), watched like `page`. */
  newBrowser: (options?: Parameters<import("@playwright/test").Browser["newContext"]>[0]) => Promise<BrowserContext>;
  /** What the pages did that they must not; the test fails if there is any at its end. */
  faults: string[];
}

/** A studio that is not embedded yet, to try it without building the binary: `STUDIO=crates/api/src/console/assets/studio.js`. */
const STUDIO = process.env.STUDIO && join(ROOT, process.env.STUDIO);

let people = 0;

export const test = base.extend<OfTest, { stentor: Stentor }>({
  stentor: [
    async ({}, use) => {
      const stentor = await Stentor.start();
      await use(stentor);
      await stentor.stop();
    },
    { scope: "worker", timeout: 60_000 },
  ],
  ownStentor: async ({}, use) => {
    const stentor = await Stentor.start();
    await use(stentor);
    await stentor.stop();
  },
  host: async ({ stentor }, use) => {
    const host = await Host.start(stentor);
    await use(host);
    await host.stop();
  },
  person: async ({}, use) => {
    people += 1;
    await use(`person-${process.pid}-${people}`);
  },
  faults: [
    async ({}, use) => {
      const faults: string[] = [];
      await use(faults);
      expect(faults, "broken policies and thrown errors").toEqual([]);
    },
    { auto: true },
  ],
  context: async ({ context, faults }, use) => {
    await watch(context, faults);
    await use(context);
  },
  newBrowser: async ({ browser, faults }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async (options) => {
      const context = await browser.newContext(options);
      contexts.push(context);
      await watch(context, faults);
      return context;
    });
    for (const context of contexts) await context.close();
  },
});

/** Notes every violation of a policy and every error that nobody caught. */
async function watch(context: BrowserContext, faults: string[]): Promise<void> {
  if (STUDIO) await context.route(/\/studio\.js/, (route) => route.fulfill({ path: STUDIO, contentType: "text/javascript" }));
  await context.exposeFunction("noteViolation", (what: string) => faults.push(what));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      const { violatedDirective, blockedURI, sourceFile, lineNumber } = event;
      (window as any).noteViolation(`policy: ${violatedDirective} ${blockedURI} (${sourceFile}:${lineNumber})`);
    });
  });
  context.on("weberror", (error) => faults.push(`error: ${error.error()}`));
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails if axe finds anything on the page as it is now, inside shadow roots too. */
export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(AXE); // through the debugger, which no policy forbids
  const found = await page.evaluate(async () => {
    const result = await (window as any).axe.run(document, { resultTypes: ["violations"], preload: false });
    return result.violations.flatMap((v: any) => v.nodes.map((n: any) => `${v.id}: ${n.target.flat().join(" ")}: ${n.failureSummary}`));
  });
  expect(found).toEqual([]);
}

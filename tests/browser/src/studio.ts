// The studio in a test: a template of the test's own, opened, and what is seen of it.
import type { Page } from "@playwright/test";

import { expect } from "./fixtures.ts";
import type { Stentor } from "./stentor.ts";

let keys = 0;

/** Publishes a template of the test's own, and gives its key. */
export async function template(stentor: Stentor, more: Record<string, string> = {}): Promise<string> {
  keys += 1;
  const key = `parcel-${process.pid}-${keys}`;
  const content = (title: string, body: string) =>
    `+++\ntitle = "${title}"\nsummary = "${body}"\n+++\n\n${body}\n\nYour number is **{{tracking}}**.\n`;
  const schema = {
    type: "object", required: ["name", "tracking", "weight", "express"], additionalProperties: false,
    properties: {
      name: { type: "string", description: "How the person is addressed" }, tracking: { type: "string" },
      weight: { type: "number" }, express: { type: "boolean" },
    },
  };
  const files = {
    "template.toml": 'title = "Parcel"\ncategory = "orders"\nchannels = ["inbox", "email", "sms"]\ndefault_locale = "en"\n',
    "schema.json": JSON.stringify(schema, null, 2),
    "samples/ada.json": JSON.stringify({ name: "Ada", tracking: "N-1", weight: 2.5, express: true }),
    "samples/bo.json": JSON.stringify({ name: "Bo", tracking: "N-2", weight: 1, express: false }),
    "en/content.md": content("Hello {{name}}", "{{#if express}}Express: your{{else}}Your{{/if}} parcel of {{number weight}} kg is on its way."),
    "de/content.md": content("Hallo {{name}}", "{{#if express}}Eilig: Ihr{{else}}Ihr{{/if}} Paket von {{number weight}} kg ist unterwegs."),
    ...more,
  };
  await stentor.api("PUT", `/v1/templates/${key}`, { files, publish: true });
  return key;
}

/** Signs in by the link that `stentor dev` prints, and opens the studio; `key?new` begins a template. */
export async function open(page: Page, stentor: Stentor, key: string): Promise<void> {
  const { console_url } = stentor.ready as unknown as { console_url: string };
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto(console_url);
  await page.waitForURL(/\/console(\?|$)/);
  const [name, more = ""] = key.split("?");
  await page.goto(`${stentor.url}/console/templates/${name}?app=${stentor.ready.app}&${more}`);
  await expect(page.getByRole("heading", { name })).toBeVisible();
  await expect(page.getByRole("tabpanel")).toContainText("In the list");
}

/** What was written out, in the frame of the open tab. */
export const inFrame = (page: Page) => page.getByRole("tabpanel").frameLocator("iframe.page, iframe.mail");

/** The card, as the widget draws it in its list. */
export const card = (page: Page) => page.getByRole("tabpanel").frameLocator("iframe.listed").locator(".card");

/** Puts `text` in the place of all that the open file says. */
export async function write(page: Page, text: string): Promise<void> {
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText(text);
}

// The pages beside demo and console: axe finds nothing on any of them, light, dark and on a phone, each fits its window, and a picture is
// taken to be looked at.
import type { Page } from "@playwright/test";

import { expect, expectAccessible, test } from "../src/fixtures.ts";
import { picture } from "../src/pictures.ts";
import type { Stentor } from "../src/stentor.ts";

/** A mail and an SMS to Ada, with a way out at the mail's foot: where that leads. */
async function told(stentor: Stentor): Promise<string> {
  const link = "https://example.com/bridge";
  const data = { headline: "A new bridge opens today", summary: "The first train crossed at dawn.", image: { url: `${stentor.url}/demo/picture.svg`, alt: "A bridge" }, link };
  await stentor.api("PUT", "/v1/recipients/ada", { locale: "en" });
  await stentor.send(["ada"], { template: "breaking-news", data, channels: ["inbox", "email", "sms"] });
  const captured = async () => (await (await fetch(`${stentor.url}/outbox/list`)).json()) as { kind: string; name: string }[];
  await expect.poll(async () => (await captured()).map(({ kind }) => kind).sort()).toEqual(["mail", "sms"]);
  const mail = (await captured()).find(({ kind }) => kind === "mail")!;
  const { text } = (await (await fetch(`${stentor.url}/outbox/mail/${encodeURIComponent(mail.name)}`)).json()) as { text: string };
  return text.match(/https?:\S+\/unsubscribe\/[^\s>)\]]+/)![0].replace(/^https?:\/\/[^/]+/, stentor.url);
}

for (const [look, options] of [
  ["light", { colorScheme: "light", viewport: { width: 1280, height: 800 } }],
  ["dark", { colorScheme: "dark", viewport: { width: 1280, height: 800 } }],
  ["phone", { colorScheme: "light", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }],
] as const) {
  test(`bank, news, inbox, outbox, API and the way out of a mail are accessible and fit, ${look}`, async ({ newBrowser, ownStentor: stentor }) => {
    test.slow();
    const out = await told(stentor);
    const page = await (await newBrowser(options)).newPage();
    const look_at = async (name: string) => {
      await expectAccessible(page);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(wider, `${name} is wider than the window`).toBeLessThanOrEqual(0);
      await picture(page, `${name}-${look}`);
    };
    const bell = (page: Page) => page.getByRole("button", { name: "Notifications, 1 unread" });

    for (const site of ["bank", "news"]) {
      await page.goto(`${stentor.url}/demo/${site}?person=ada`);
      await bell(page).click();
      await expect(page.getByRole("dialog").getByText("A new bridge opens today")).toBeVisible();
      await look_at(`demo-${site}`);
    }
    await page.goto(`${stentor.url}/demo/example`);
    await expect(bell(page)).toBeVisible();
    await look_at("demo-example");
    await page.goto(`${stentor.url}/demo/inbox?person=ada`);
    await page.locator("stentor-inbox li .card").click();
    await expect(page.locator("stentor-inbox .content")).not.toBeEmpty();
    await look_at("demo-inbox");

    await page.goto(`${stentor.url}/outbox`);
    await expect(page.getByRole("listitem")).toHaveCount(2);
    await page.getByRole("button", { name: /^mail/ }).click();
    await expect(page.frameLocator("iframe").getByText("A new bridge opens today").first()).toBeVisible();
    await look_at("outbox");
    await page.getByRole("button", { name: /^sms/ }).click();
    await expect(page.locator("#message pre")).toContainText("https://example.com/bridge");
    await expectAccessible(page);

    await page.goto(`${stentor.url}/docs`);
    await page.getByText("Send a notification.").click();
    await expect(page.getByText("202").first()).toBeVisible();
    await look_at("api");

    await page.goto(out);
    await look_at("unsubscribe");
    await page.getByRole("button").first().click();
    await page.waitForLoadState();
    await look_at("unsubscribed");
  });
}

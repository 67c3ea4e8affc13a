// By keyboard alone: what the bell's own test does not touch, from right to left too, and the console.
import type { Page } from "@playwright/test";

import { expect, test } from "../src/fixtures.ts";
import { card, element, live, titles } from "../src/widget.ts";

/** What has the focus, inside a shadow root too: its name. */
const focused = (page: Page) => page.evaluate(() => {
  const deep = document.activeElement?.shadowRoot?.activeElement ?? document.activeElement;
  return (deep?.getAttribute("aria-label") ?? deep?.textContent)?.trim().replace(/\s+/g, " ") ?? "";
});

/** Goes on with Tab until something has the focus. */
async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  for (let steps = 0; steps < 40; steps += 1) {
    await page.keyboard.press("Tab");
    const at = await focused(page);
    if (typeof name === "string" ? at === name : name.test(at)) return;
  }
  throw new Error(`${name} is not reached by Tab`);
}

for (const [locale, forward, backward, all, preferences, undo] of [
  ["en", "ArrowRight", "ArrowLeft", "All", "Preferences", "Undo"],
  ["ar", "ArrowLeft", "ArrowRight", "الكل", "التفضيلات", "تراجع"],
] as const) {
  test(`tabs, preferences, archiving and taking it back, by keyboard (${locale})`, async ({ page, host, stentor, person }) => {
    await stentor.say(person, "A bill", {}, { category: "billing" });
    await stentor.say(person, "The news", {}, { category: "news" });
    const tag = `<stentor-inbox variant="panel" locale="${locale}" categories="billing:Bills, news:News" token-url="/token?for=${person}"></stentor-inbox>`;
    await page.goto(host.inboxPage(`/keys-${locale}`, tag));
    await expect(titles(page)).toHaveCount(2);
    const { keyboard } = page;

    await tabTo(page, all);
    await keyboard.press(forward);
    await expect.poll(() => focused(page)).toBe("Bills");
    await expect(titles(page)).toHaveText([/A bill/]);
    await keyboard.press("End");
    await expect.poll(() => focused(page)).toBe("News");
    await keyboard.press(forward); // from the last to the first
    await expect.poll(() => focused(page)).toBe(all);
    await keyboard.press(backward);
    await expect(titles(page)).toHaveText([/The news/]);
    await keyboard.press("Home");
    await expect(titles(page)).toHaveCount(2);

    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    await tabTo(page, preferences);
    await keyboard.press("Enter");
    await expect.poll(() => focused(page)).toBe(preferences); // its heading
    await tabTo(page, /^News: /);
    await keyboard.press("Space");
    await expect.poll(async () => (await stentor.api("GET", `/v1/recipients/${person}`)).preferences?.categories).toEqual({ news: { inbox: false } });
    await keyboard.press("Space");
    await expect.poll(async () => (await stentor.api("GET", `/v1/recipients/${person}`)).preferences?.categories).toEqual({ news: { inbox: true } });
    await keyboard.press("Escape");
    await expect.poll(() => focused(page)).toBe(preferences); // the button
    await expect(page.getByRole("switch")).toHaveCount(0);

    await expect(titles(page)).toHaveCount(2);
    await tabTo(page, /: The news$/); // marks it as read
    await keyboard.press("Enter");
    await expect.poll(() => stentor.unread(person)).toBe(1);
    await keyboard.press("Tab");
    await keyboard.press("Enter"); // archives it
    await expect(titles(page)).toHaveText([/A bill/]);
    await expect.poll(() => focused(page)).toContain("A bill");
    await tabTo(page, undo);
    await keyboard.press("Enter");
    await expect(titles(page)).toHaveCount(2);
    await expect.poll(() => stentor.unread(person)).toBe(1);
  });
}

test("a toast is reached, opened and left by keyboard", async ({ page, host, stentor, person }) => {
  await page.goto(host.inboxPage("/keys-toast", `<stentor-inbox toasts token-url="/token?for=${person}"></stentor-inbox>`));
  await live(page);
  await stentor.say(person, "Knock knock", { body_markdown: "Who is there?" });
  await expect(element(page).locator(".toast")).toBeVisible();
  await tabTo(page, /^Knock knock/);
  await page.keyboard.press("Enter");
  await expect(element(page).locator(".content")).toHaveText("Who is there?");
  await expect.poll(() => focused(page)).toBe("Knock knock"); // its heading
  await page.keyboard.press("Escape");
  await expect(card(page, "Knock knock")).toBeFocused();
  await page.keyboard.press("Escape");
  await expect.poll(() => focused(page)).toBe("Notifications");
});

test("an operator finds, reads and recalls by keyboard alone", async ({ page, stentor, person }) => {
  const { keyboard } = page;
  await stentor.say(person, "By mistake", {}, { channels: ["inbox", "email"], metadata: { order: "42" } });
  await page.goto(`${stentor.url}/console/notifications`);
  await expect(page.getByLabel("Operator key")).toBeFocused(); // by itself, a moment after the page is there
  await keyboard.type(stentor.ready.operator_key);
  await keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Notifications" })).toBeVisible();
  await keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeInViewport();
  await keyboard.press("Enter");
  await expect(page.locator("#main")).toBeFocused();
  for (let steps = 0; steps < 3; steps += 1) await keyboard.press("Tab"); // time, template, recipient
  await expect(page.getByLabel("Recipient")).toBeFocused();
  await keyboard.type(person);
  await keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`recipient=${person}`));
  await tabTo(page, "By mistake");
  await keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "By mistake" })).toBeVisible();
  await tabTo(page, "Metadata");
  await keyboard.press("Enter");
  await expect(page.getByText('"order": "42"')).toBeVisible();
  await tabTo(page, /^email/);
  await keyboard.press("Enter");
  await expect(page.locator("#rendered")).toContainText("Subject");
  // lists that are wider than the window are scrolled by keyboard
  await tabTo(page, /^Deliveries/);
  page.once("dialog", (dialog) => void dialog.accept());
  await page.reload();
  await tabTo(page, "Recall");
  await keyboard.press("Enter");
  await expect(page.getByRole("status")).toContainText("Recalled");
  await expect.poll(() => stentor.unread(person)).toBe(0);
});

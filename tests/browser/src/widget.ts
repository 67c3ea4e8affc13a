// The widget as a test sees it: what it shows, and what the client behind it knows.
import { expect, type Locator, type Page } from "@playwright/test";

/** The element; the first one if there are several. */
export const element = (page: Page): Locator => page.locator("stentor-inbox").first();

/** The count that the person sees: that of the bell's badge, or of the header. 0 if there is none. */
export async function shown(page: Page): Promise<number> {
  const text = await element(page).locator(".badge, .count").first().textContent({ timeout: 200 }).catch(() => null);
  return Number(text?.match(/\d+/)?.[0] ?? 0);
}

/** What the client behind the element knows. */
export const client = (page: Page) =>
  element(page).evaluate((node: any) => {
    const { status, problem, unread, leads, way, waiting } = node.inbox;
    return { status, problem, unread, leads, way, waiting };
  });

/** Waits until the client is told of everything as it happens. */
export async function live(page: Page): Promise<void> {
  await expect.poll(async () => (await client(page)).status, { message: "live" }).toBe("live");
}

/** What is said while there is no connection. */
export const trouble = (page: Page): Locator => element(page).locator(".trouble");

/** The button that asks for another try at once. */
export const tryAgain = (page: Page): Locator => trouble(page).getByRole("button", { name: "Try again" });

/** Presses it, unless the page, which tries by itself, was faster. */
export const hurry = (page: Page): Promise<void> => tryAgain(page).evaluateAll((all) => all.forEach((one) => (one as HTMLElement).click()));

/** The titles in the list, newest first. */
export const titles = (page: Page): Locator => element(page).locator("li .title");

/** The card with this title. */
export const card = (page: Page, title: string): Locator => element(page).locator("li .card", { hasText: title });

/** A button of a card, such as "Archive". */
export const tool = (page: Page, does: string, title: string): Locator => element(page).getByRole("button", { name: `${does}: ${title}` });

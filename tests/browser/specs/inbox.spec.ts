// What a person does with the inbox, and what they see of it.
import { expect, expectAccessible, test } from "../src/fixtures.ts";

test("the bell counts, opens, shows what is in it, and marks it read", async ({ page, host, stentor, person }) => {
  await stentor.say(person, "The first one", { summary: "In short", body_markdown: "All of **it**." });
  await page.goto(host.inboxPage("/bell", `<stentor-inbox token-url="/token?for=${person}"></stentor-inbox>`));
  const bell = page.getByRole("button", { name: "Notifications, 1 unread" });
  await expect(bell).toBeVisible();
  await stentor.say(person, "The second one");
  await page.getByRole("button", { name: "Notifications, 2 unread" }).click();
  await expect(page.getByRole("dialog", { name: "Notifications" })).toBeFocused();
  const cards = page.locator("stentor-inbox li .title");
  await expect(cards).toHaveText(["Unread: The second one", "Unread: The first one"]);
  await expectAccessible(page);
  await page.getByRole("button", { name: "The first one", exact: false }).first().click();
  await expect(page.locator("stentor-inbox .content strong")).toHaveText("it");
  await expect(page.getByText("1 unread", { exact: true })).toBeVisible();
  expect(await stentor.unread(person)).toBe(1);
  await expectAccessible(page);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Notifications, 1 unread" })).toBeFocused();
});

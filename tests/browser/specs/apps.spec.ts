// The console's picker where there are more apps than a list is of use for: one is found by typing.
import type { Locator } from "@playwright/test";

import { expect, expectAccessible, test } from "../src/fixtures.ts";
import { picture } from "../src/pictures.ts";

/**
 * Takes the nth offer of a field, as the page is told of it. Chromium shows offers in a window of its own, where neither page nor debugger
 * can click; that a click there, and Enter there, is an event without `inputType` was seen by a real mouse and real keys (Chromium 156,
 * Xvfb). Firefox says `insertReplacementText`.
 */
const take = async (field: Locator, nth: number, inputType?: string) =>
  field.evaluate((field: HTMLInputElement, { nth, inputType }) => {
    field.value = field.list!.options[nth]!.value;
    const [init, kind] = [{ bubbles: true, inputType }, inputType ? InputEvent : Event];
    field.dispatchEvent(new kind("input", init));
  }, { nth, inputType });

test("of many apps one is found by typing, and one that is offered is opened", async ({ page, ownStentor: stentor }) => {
  stentor.makeApp("shop");
  for (let n = 0; n < 60; n++) stentor.makeApp(`shop-${String(n).padStart(2, "0")}`);
  await page.goto(stentor.ready.console_url);
  const picker = page.getByRole("combobox", { name: "App", exact: true });
  await expect(picker).toHaveAttribute("placeholder", "All apps");
  await page.goto(`${stentor.url}/console/topics?app=shop-07`);
  await expect(picker).toHaveValue("shop-07");
  await picker.click();
  await page.keyboard.type("p-4");
  await expect(page.locator("#app-names option")).toHaveCount(10);
  await page.keyboard.type("2");
  await expect(page.locator("#app-names option")).toHaveCount(1);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Apps" })).toBeVisible();
  await expectAccessible(page);
  await picture(page, "console-apps-found");
  await page.getByRole("main").getByRole("link", { name: "shop-42" }).click();
  await expect(page).toHaveURL(/\/console\/topics\?app=shop-42$/);
  await picker.fill("shop-13");
  await picker.press("Enter");
  await expect(page).toHaveURL(/\/console\/topics\?app=shop-13$/);
  // whoever clicks one of the offers is there; whoever typed a whole id may yet be typing a longer one
  const offers = page.locator("#app-names option");
  for (const inputType of [undefined, "insertReplacementText"]) {
    await picker.click();
    await page.keyboard.press("Backspace");
    await expect(offers.nth(1)).toHaveAttribute("value", "shop"); // after `demo`
    await page.keyboard.type("shop");
    await expect(offers.first()).toHaveAttribute("value", "shop");
    await page.keyboard.type("-2");
    await expect(offers).toHaveCount(10);
    await expect(page).toHaveURL(/app=shop-13$/);
    await take(picker, 4, inputType);
    await expect(page).toHaveURL(/\/console\/topics\?app=shop-24$/);
    await page.goBack();
  }
  await page.goto(`${stentor.url}/console/apps`);
  await page.getByRole("link", { name: "Next" }).click();
  await expect(page.getByRole("link", { name: "shop-50" })).toBeVisible();
});

// The console's picker where there are more apps than a list is of use for: one is found by typing.
import { expect, expectAccessible, test } from "../src/fixtures.ts";
import { picture } from "../src/pictures.ts";

test("of many apps one is found by typing", async ({ page, ownStentor: stentor }) => {
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
  await page.goto(`${stentor.url}/console/apps`);
  await page.getByRole("link", { name: "Next" }).click();
  await expect(page.getByRole("link", { name: "shop-50" })).toBeVisible();
});

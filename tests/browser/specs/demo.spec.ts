// The demo of `stentor dev`.
import { expect, expectAccessible, test } from "../src/fixtures.ts";

test("the demo shows what was sent, live", async ({ page, stentor }) => {
  await page.goto(`${stentor.url}/demo`);
  await stentor.say(stentor.ready.recipient, "It works");
  await expect(page.getByText("It works")).toBeVisible();
  await expectAccessible(page);
});

// The description of the API for people: whoever reads it can write a body.
import type { Page } from "@playwright/test";

import { expect, expectAccessible, test } from "../src/fixtures.ts";

const call = (page: Page, name: string) => page.locator("#groups section > div > details").filter({ has: page.getByText(name, { exact: true }) });

test("the API's page tells how to write a body, down to the last field", async ({ page, stentor }) => {
  await page.goto(`${stentor.url}/docs`);
  const send = call(page, "Send a notification.");
  const row = (start: string) => send.locator("summary, li > div").filter({ hasText: new RegExp(`^${start}`) });
  await expect(send.getByText("Answers")).toHaveCount(0); // what is closed is made when it is opened
  await send.locator("summary").click();
  await expect(send.locator("p code").first()).toHaveText("Idempotency-Key");
  await expect(send).not.toContainText("`");
  await expect(row("content ")).toHaveText("content Content or nullWhat to say, written out.");
  await expect(row("channels ")).toContainText("list of Channel or null");
  await expect(row("priority ")).toContainText("One of high, normal, bulk.");
  await row("audience ").click();
  for (const variant of ['{"recipients": …}', '{"topic": …}', '"everyone"']) await expect(send.getByText(variant, { exact: true })).toBeVisible();
  await expect(row("recipients ")).toContainText("1 to 1,000 items.");
  await row("content ").click();
  await expect(row("body_markdown ")).toBeVisible();
  await row("202 ").click();
  await expect(row("status ")).toContainText("One of scheduled, accepted, dispatching, completed, cancelled.");
  await row("200 ").click();
  await row("deliveries ").click();
  await expect(row("decision ")).toBeVisible();
  await expectAccessible(page);
});

test("each body that the API's page shows is taken as it is", async ({ page, ownStentor: stentor }) => {
  const id = await stentor.say("ada", "To be said otherwise");
  await page.goto(`${stentor.url}/docs`);
  const calls = page.locator("#groups section > div > details");
  for (let nth = 0; nth < (await calls.count()); nth++) {
    const [method, path] = [calls.nth(nth).locator("summary .tag").first(), calls.nth(nth).locator("summary code").first()];
    await calls.nth(nth).locator("summary").first().click();
    await expect(calls.nth(nth).getByText("Answers", { exact: true })).toBeVisible();
    if ((await calls.nth(nth).locator("pre").count()) === 0) continue;
    const [verb, address, text] = await Promise.all([method.innerText(), path.innerText(), calls.nth(nth).locator("pre").innerText()]);
    if (address === "/v1/templates/{key}" || address.endsWith("/rollback")) continue; // files and versions are nobody's guess
    const named = address.replace("{id}", address.includes("/notifications/") ? id : "ada").replace("{topic}", "football").replace("{key}", "welcome");
    const bearer = address.startsWith("/v1/inbox") ? (await stentor.api("POST", "/v1/recipients/ada/token")).token : stentor.ready.api_key;
    const answer = await page.request.fetch(stentor.url + named, { method: verb, data: text, headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" } });
    expect(answer.status(), `${verb} ${address} ${text}`).toBeLessThan(300);
  }
});

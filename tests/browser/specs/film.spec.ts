// The one minute of the README: the demo, filmed. Only with PICTURES=1, since it takes that minute.
import { join } from "node:path";

import { expect, test } from "../src/fixtures.ts";
import { Film } from "../src/film.ts";
import { ROOT } from "../src/stentor.ts";

test("a minute of the demo", async ({ ownStentor, newBrowser }) => {
  test.skip(process.env.PICTURES !== "1", "a film is made with PICTURES=1");
  test.setTimeout(240_000);
  const page = await (await newBrowser({ viewport: { width: 1360, height: 1180 }, reducedMotion: "no-preference" })).newPage();
  await page.goto(`${ownStentor.url}/demo`);
  const [laptop, phone] = [page.frameLocator("#laptop"), page.frameLocator("#phone")];
  const [what, to, reads, send] = [page.locator("[name=what]"), page.locator("[name=to]"), page.locator("[name=locale]"), page.getByRole("button", { name: "Send" })];
  await expect(phone.locator(".bell")).toBeVisible();

  const film = await Film.begin(page);
  await film.say("A bank and a news site, each with Stentor's inbox. On the left: a form that sends.", 3_500);
  await film.click(page.getByText("The call"), 400);
  await film.say("Each message is one REST call.", 3_000);
  await film.click(page.getByText("The call"), 100);
  await film.click(send, 0);
  await expect(phone.locator(".toast")).toBeVisible();
  await expect(page.locator("#sms li")).toBeVisible();
  await film.say("Ada is told at once: on her laptop, her phone, by mail and by SMS.", 4_000);
  await film.click(laptop.locator(".bell"));
  await film.click(laptop.locator("li .card").first(), 300);
  await film.say("Read on the laptop, it is read on the phone. The count is never wrong.", 3_500);
  await film.click(laptop.getByRole("button", { name: "Close" }), 300);

  await film.choose(page.locator("#whose"), "ben");
  await expect(phone.locator(".bell")).toBeVisible();
  await film.choose(what, "daily-digest");
  await film.choose(to, "everyone");
  await film.say("To everyone: one write, whatever the audience.", 1_500);
  await film.click(send, 0);
  await expect(phone.locator(".toast")).toBeVisible();
  await film.click(phone.locator(".bell"));
  await film.click(phone.locator("li .card").first(), 300);
  await film.say("A picture, a text, several stories: loaded when they are opened.", 3_500);

  await film.choose(reads, "ar");
  await film.say("Each person reads their own language, from right to left if need be.", 1_500);
  await expect(phone.locator(".bell")).toBeVisible();
  await film.choose(what, "card-repayment-due");
  await film.choose(to, "ben");
  await film.click(send, 0);
  await expect(phone.locator(".toast")).toBeVisible();
  await film.click(phone.locator(".bell"));
  await film.click(phone.locator("li .card").first(), 2_500);
  await film.say("All of it by yourself: make run", 3_500);
  await film.end(join(ROOT, "docs/images/demo.webm"), 1020);
});

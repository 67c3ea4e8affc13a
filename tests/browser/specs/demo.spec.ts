// The demo of `stentor dev`: what somebody sees in their first minute.
import { expect, expectAccessible, test } from "../src/fixtures.ts";
import { picture } from "../src/pictures.ts";

for (const scheme of ["light", "dark"] as const) {
  test(`the demo sends, and shows what arrives on two devices, by mail and by SMS (${scheme})`, async ({ ownStentor, newBrowser }) => {
    const browser = await newBrowser({ colorScheme: scheme, viewport: { width: 1360, height: 1240 } });
    const page = await browser.newPage();
    await page.goto(`${ownStentor.url}/demo`);
    const [laptop, phone] = [page.frameLocator("#laptop"), page.frameLocator("#phone")];
    const bell = (unread: number) => (unread ? `Notifications, ${unread} unread` : "Notifications");
    for (const device of [laptop, phone]) await expect(device.getByRole("button", { name: bell(0) })).toBeVisible();
    await expectAccessible(page);

    await page.getByRole("button", { name: "Send" }).click();
    await expect(page.getByText(/^accepted in \d+ ms$/)).toBeVisible();
    for (const device of [laptop, phone]) {
      await expect(device.getByRole("button", { name: bell(1) })).toBeVisible();
      await expect(device.locator(".toast")).toContainText("1,234.50");
    }
    await expect(page.frameLocator("#mail").getByText("1,234.50").last()).toBeVisible();
    await expect(page.locator("#sms li")).toContainText("1,234.50");

    // to everyone, while the phone is Ben's
    await page.getByLabel("Phone of").selectOption("ben");
    await expect(phone.getByRole("button", { name: bell(0) })).toBeVisible();
    await page.locator("select[name=what]").selectOption("breaking-news");
    await page.locator("select[name=to]").selectOption("everyone");
    await page.getByRole("button", { name: "Send" }).click();
    await expect(laptop.getByRole("button", { name: bell(2) })).toBeVisible();
    await expect(phone.getByRole("button", { name: bell(1) })).toBeVisible();
    // to a topic that Ben alone is in
    await page.locator("select[name=to]").selectOption("topic");
    await page.locator("select[name=what]").selectOption("own");
    await page.getByRole("button", { name: "Send" }).click();
    await expect(phone.getByRole("button", { name: bell(2) })).toBeVisible();
    await expect(laptop.getByRole("button", { name: bell(2) })).toBeVisible();

    // back to Ada's phone: what is opened on the laptop is read on the phone
    await page.getByLabel("Phone of").selectOption("ada");
    await expect(phone.getByRole("button", { name: bell(2) })).toBeVisible();
    await laptop.getByRole("button", { name: bell(2) }).click();
    await laptop.locator("li .card").first().click();
    await expect(laptop.getByRole("heading", { name: "A new bridge opens today" })).toBeVisible();
    await expect(phone.getByRole("button", { name: bell(1) })).toBeVisible();
    await laptop.getByRole("button", { name: "Back" }).click();
    await expectAccessible(page);
    await picture(page, scheme === "light" ? "demo" : "demo-dark");
  });
}

test("the demo speaks the language that people read", async ({ ownStentor, page }) => {
  await page.goto(`${ownStentor.url}/demo`);
  await page.getByLabel("They read").selectOption("zh-CN");
  const laptop = page.frameLocator("#laptop");
  await expect(laptop.getByRole("button", { name: "通知" })).toBeVisible();
  await page.getByRole("button", { name: "Send" }).click();
  await laptop.getByRole("button", { name: "通知，1 条未读".replace("，", ", ") }).click();
  await expect(laptop.locator("li .title")).toContainText("还款");
});

test("the demo fits a phone, and speaks Arabic", async ({ ownStentor, newBrowser }) => {
  const page = await (await newBrowser({ viewport: { width: 390, height: 2400 }, hasTouch: true, isMobile: true })).newPage();
  await page.goto(`${ownStentor.url}/demo`);
  await page.getByLabel("They read").selectOption("ar");
  const phone = page.frameLocator("#phone");
  await expect(phone.getByRole("button", { name: "الإشعارات" })).toBeVisible();
  await page.locator("select[name=what]").selectOption("daily-digest");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.frameLocator("#mail").locator("html[dir=rtl], body[dir=rtl], [dir=rtl]").first()).toBeAttached();
  const width = () => page.frameLocator("#mail").locator("img").first().evaluate((picture: HTMLImageElement) => picture.naturalWidth);
  await expect.poll(width, { message: "the picture of the mail is loaded" }).toBeGreaterThan(0);
  await phone.locator(".bell").click();
  await phone.locator("li .card").first().click();
  await expect(phone.getByRole("link", { name: "A new bridge opens today" })).toBeVisible();
  await expectAccessible(page);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await picture(page, "demo-phone");
});

test("the page of ten lines is served, and a name that leads here by a trick is refused", async ({ ownStentor, page }) => {
  await page.goto(`${ownStentor.url}/demo/example`);
  await ownStentor.say("ada", "Ten lines");
  await page.getByRole("button", { name: /1 unread/ }).click();
  await expect(page.getByRole("button", { name: /Ten lines/ }).first()).toBeVisible();
  const { port } = new URL(ownStentor.url);
  for (const path of ["/demo/session", "/outbox/list", "/demo"]) {
    const answer = await page.request.get(ownStentor.url + path, { headers: { host: `evil.example:${port}` } });
    expect(answer.status(), path).toBe(421);
  }
});

test("the outbox is accessible", async ({ ownStentor, page }) => {
  await page.goto(`${ownStentor.url}/outbox`);
  await expectAccessible(page);
});

test("the demo says what became of each channel, and why there is no mail", async ({ ownStentor, page }) => {
  await page.goto(`${ownStentor.url}/demo`);
  await expect(page.getByRole("link", { name: "Console" })).toHaveAttribute("href", "/console");
  const send = page.getByRole("button", { name: "Send" });
  const fates = page.locator("#fates li");
  await send.click();
  await expect(fates).toHaveText([/^in the app: (sent|delivered)$/, "mail: sent", "SMS: sent"]);
  await expect(page.locator("#mail-note")).toBeHidden();
  await ownStentor.api("POST", "/v1/suppressions", { channel: "email", address: "ada@example.com" });
  await send.click();
  await expect(fates.nth(1)).toHaveText("mail: skipped, the address is suppressed");
  await expect(page.locator("#mail-note")).toContainText("The last message sent no mail: skipped, the address is suppressed. What is below is earlier.");
  await expect(page.locator("#sms-note")).toBeHidden();
  await expectAccessible(page);
  // to everyone, in the app alone
  await page.locator("select[name=to]").selectOption("everyone");
  for (const name of ["mail", "SMS"]) await page.getByLabel(name, { exact: true }).uncheck();
  await send.click();
  await expect(fates).toHaveText(["in the app: written, once for all"]);
  await expect(page.locator("#mail-note")).toBeHidden();
  const story = (await page.getByRole("link", { name: "The whole story" }).getAttribute("href"))!;
  await page.goto(ownStentor.ready.console_url);
  await page.waitForURL(/\/console(\?|$)/);
  await page.goto(ownStentor.url + story);
  await expect(page.getByRole("heading", { name: "The story" })).toBeVisible();
});

test("on a phone, a message of the outbox comes into view, and Back leads to its place in the list", async ({ ownStentor, newBrowser }) => {
  for (let n = 0; n < 12; n++) await ownStentor.send(["ada"], { content: { title: `Letter ${n}`, summary: `Words ${n}` }, channels: ["email", "sms"] });
  const page = await (await newBrowser({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true })).newPage();
  await page.goto(`${ownStentor.url}/outbox`);
  await expect(page.getByRole("listitem")).toHaveCount(24);
  const letter = page.getByRole("button", { name: /Letter 6/ });
  await letter.tap();
  await expect(page.getByRole("heading", { name: "Letter 6" })).toBeInViewport();
  await expect(page.getByRole("heading", { name: "Letter 6" })).toBeFocused();
  await page.goBack();
  await expect(letter).toBeInViewport();
});

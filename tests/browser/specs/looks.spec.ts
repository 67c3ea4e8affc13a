// Every variant and state, light and dark, on a phone, from right to left: axe finds nothing, and a picture is taken to be looked at.
import type { Locator, Page } from "@playwright/test";

import { expect, expectAccessible, test } from "../src/fixtures.ts";
import type { Host } from "../src/host.ts";
import { picture } from "../src/pictures.ts";
import type { Stentor } from "../src/stentor.ts";
import { card, element, live, titles, tool } from "../src/widget.ts";

interface Look {
  name: string;
  locale: string;
  variant: "bell" | "panel" | "page";
  scheme: "light" | "dark";
  width: number;
  height: number;
  touch?: boolean;
}

const LOOKS: Look[] = [
  { name: "bell", locale: "en", variant: "bell", scheme: "light", width: 760, height: 720 },
  { name: "bell-dark", locale: "de", variant: "bell", scheme: "dark", width: 760, height: 720 },
  { name: "phone", locale: "zh-CN", variant: "bell", scheme: "light", width: 375, height: 720 },
  { name: "phone-touch", locale: "de", variant: "bell", scheme: "light", width: 375, height: 720, touch: true },
  { name: "phone-rtl-dark", locale: "ar", variant: "bell", scheme: "dark", width: 375, height: 720 },
  { name: "bell-rtl", locale: "ar", variant: "bell", scheme: "light", width: 760, height: 720 },
  { name: "panel", locale: "en", variant: "panel", scheme: "light", width: 460, height: 720 },
  { name: "panel-dark", locale: "zh-CN", variant: "panel", scheme: "dark", width: 460, height: 720 },
  { name: "panel-phone", locale: "de", variant: "panel", scheme: "light", width: 375, height: 720, touch: true },
  { name: "panel-rtl", locale: "ar", variant: "panel", scheme: "light", width: 460, height: 720 },
  { name: "page-phone", locale: "en", variant: "page", scheme: "light", width: 375, height: 720, touch: true },
  { name: "page", locale: "en", variant: "page", scheme: "light", width: 1100, height: 720 },
  { name: "page-rtl", locale: "ar", variant: "page", scheme: "light", width: 1100, height: 720 },
  { name: "page-dark", locale: "en", variant: "page", scheme: "dark", width: 1100, height: 720 },
];

/** What the inbox itself says, in each language that is shipped, and how it says that something came right now. */
const WORDS: Record<string, { title: string; now: string }> = {
  en: { title: "Notifications", now: "now" }, de: { title: "Mitteilungen", now: "jetzt" },
  "zh-CN": { title: "通知", now: "现在" }, ar: { title: "الإشعارات", now: "الآن" },
};
const SAID: Record<string, string[]> = {
  en: ["Repayment due on 5 December", "A new bridge opens today", "Your statement is ready", "Sign-in from a new device", "Welcome, Ada"],
  de: ["Rückzahlung fällig am 5. Dezember", "Heute öffnet eine neue Brücke", "Ihr Kontoauszug ist da", "Anmeldung mit einem neuen Gerät", "Willkommen, Ada"],
  "zh-CN": ["信用卡还款将于 12 月 5 日到期", "新桥今日通车", "您的账单已生成", "新设备登录提醒", "欢迎，Ada"],
  ar: ["يحل موعد السداد في 5 ديسمبر", "افتتاح جسر جديد اليوم", "كشف حسابك جاهز", "تسجيل دخول من جهاز جديد", "مرحبًا يا آدا"],
};
const SUMMARY: Record<string, string> = {
  en: "¥ 1,234.50 on the card ending in 6222. Pay by then and nothing else happens.",
  de: "1.234,50 ¥ auf der Karte mit der Endung 6222. Wer bis dahin zahlt, hat Ruhe.",
  "zh-CN": "尾号 6222 的信用卡应还金额 ¥1,234.50，请按时还款。",
  ar: "المبلغ 1,234.50 يوان على البطاقة المنتهية بالرقم 6222.",
};
const BODY: Record<string, string> = {
  en: "**¥ 1,234.50** is due on **5 December** for the card ending in 6222.\n\nPay by then, and nothing else happens. [How it is counted](https://example.com/how)\n\n| Of this | CNY |\n|---|---|\n| Purchases | 1,200.00 |\n| Fees | 34.50 |",
  de: "**1.234,50 ¥** sind am **5. Dezember** fällig.",
  "zh-CN": "尾号 6222 的信用卡应还金额 **¥1,234.50**。",
  ar: "المبلغ المستحق **1,234.50** يوان في **5 ديسمبر**.",
};

async function fill(stentor: Stentor, host: Host, person: string, locale: string): Promise<void> {
  const [due, bridge, statement, device, welcome] = SAID[locale]!;
  await stentor.say(person, welcome!, {}, { category: "account" });
  await stentor.say(person, device!, { summary: "Chromium, Linux" }, { category: "account", priority: "high" });
  const read = await stentor.say(person, statement!, { summary: SUMMARY[locale] }, { category: "billing" });
  await fetch(`${stentor.url}/v1/inbox/items/${read}/read`, { method: "POST", headers: { authorization: `Bearer ${host.token(person)}` } });
  await stentor.say(person, bridge!, { image: { url: `${host.url}/picture.svg`, alt: "A mountain by a lake" }, body_markdown: "…" }, { category: "news" });
  await stentor.say(person, due!, {
    summary: SUMMARY[locale], body_markdown: BODY[locale], actions: [{ label: { de: "Jetzt zahlen", ar: "ادفع الآن", "zh-CN": "立即还款" }[locale] ?? "Pay now", url: "https://example.com/pay" }], link: "https://example.com/card",
  }, { category: "billing" });
}

const show = async (page: Page, variant: string) => {
  await live(page);
  if (variant === "bell") await element(page).locator(".bell").click();
};

/** How light a colour of something is, from 0 to 255. */
const brightness = (what: Locator, property: "color" | "backgroundColor") => what.evaluate((node, property) => {
  const brush = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d")!;
  brush.fillStyle = getComputedStyle(node)[property];
  brush.fillRect(0, 0, 1, 1);
  const [red, green, blue] = brush.getImageData(0, 0, 1, 1).data;
  return (red! + green! + blue!) / 3;
}, property);

for (const { name, locale, variant, scheme, width, height, touch } of LOOKS) {
  test(`${name}: list, content, preferences`, async ({ host, stentor, person, newBrowser }) => {
    await fill(stentor, host, person, locale);
    const browser = await newBrowser({ colorScheme: scheme, viewport: { width, height }, hasTouch: touch, isMobile: touch });
    const page = await browser.newPage();
    const tag = `<stentor-inbox variant="${variant}" locale="${locale}" token-url="/token?for=${person}"></stentor-inbox>`;
    await page.goto(host.inboxPage(`/${name}`, variant === "bell" ? `<div class="bar">${tag}</div>` : tag));
    await show(page, variant);
    await expect(titles(page)).toHaveCount(5);
    await expect(card(page, SAID[locale]![0]!).locator(".meta")).toContainText("Billing");
    await expect(element(page).getByRole("heading", { name: WORDS[locale]!.title, exact: true })).toBeVisible();
    await expect(card(page, SAID[locale]![0]!).locator("time")).toHaveText(WORDS[locale]!.now);
    await expect(card(page, SAID[locale]![1]!).getByAltText("A mountain by a lake")).toBeVisible();
    await expect(element(page).locator(".root")).toHaveCSS("direction", locale === "ar" ? "rtl" : "ltr");
    expect(await brightness(element(page).locator(".box"), "backgroundColor"), "the ground is as light as the system wants it")[scheme === "dark" ? "toBeLessThan" : "toBeGreaterThan"](128);
    const [wider, box] = [await page.evaluate(() => document.documentElement.scrollWidth), (await element(page).locator(".box").boundingBox())!];
    expect(wider).toBeLessThanOrEqual(width);
    expect(box.x).toBeGreaterThanOrEqual(0);
    expect(box.x + box.width).toBeLessThanOrEqual(width);
    await expectAccessible(page);
    await picture(page, `inbox-${name}`);
    await card(page, SAID[locale]![0]!).click();
    await expect(element(page).locator(".actions a")).toHaveCount(2);
    await expectAccessible(page);
    await picture(page, `inbox-${name}-open`);
    await element(page).locator(".settings").click();
    await expect(element(page).getByRole("switch")).toHaveCount(3 * 4);
    const cut = await element(page).evaluate((node) => ["box", "head", "side"].filter((part) => {
      const { scrollWidth, clientWidth } = node.shadowRoot!.querySelector(`.${part}`)!;
      return scrollWidth > clientWidth;
    }));
    expect(cut, "what is wider than its place").toEqual([]);
    await expectAccessible(page);
    await picture(page, `inbox-${name}-preferences`);
  });
}

test("the picture of the README: list, an open item, from right to left and dark", async ({ host, stentor, person, newBrowser }) => {
  const page = await (await newBrowser({ viewport: { width: 1200, height: 560 } })).newPage();
  await fill(stentor, host, person, "en");
  await fill(stentor, host, `${person}-ar`, "ar");
  host.page("/three.css", "body { margin: 0; padding: 24px; background: #f0f2f5 } main { display: grid; grid-template-columns: repeat(3, 1fr); gap: 24px } h1 { display: none } stentor-inbox { height: 512px }", "text/css");
  const panel = (whose: string, more = "") => `<stentor-inbox variant="panel" token-url="/token?for=${whose}" ${more}></stentor-inbox>`;
  await page.goto(host.inboxPage("/three", panel(person) + panel(person) + panel(`${person}-ar`, 'locale="ar" theme="dark"'), '<link rel="stylesheet" href="/three.css">'));
  const inboxes = page.locator("stentor-inbox");
  for (const inbox of await inboxes.all()) await expect(inbox.locator("li")).toHaveCount(5);
  await inboxes.nth(1).locator(".card").first().click();
  await expect(inboxes.nth(1).locator(".actions a")).toHaveCount(2);
  for (const at of [0, 1]) await expect(inboxes.nth(at).locator(".count")).toHaveText("3 unread");
  await page.mouse.move(0, 0);
  await picture(page, "inbox");
});

test("the states: empty, loading, offline, no token, toasts, just archived, what cannot be loaded", async ({ page, host, person, stentor }) => {
  await page.setViewportSize({ width: 460, height: 640 });
  const tag = (more = "") => `<stentor-inbox variant="panel" token-url="/token?for=${person}" ${more}></stentor-inbox>`;
  await page.goto(host.inboxPage("/empty", tag("toasts")));
  await expect(element(page).locator(".empty")).toContainText("You are up to date");
  await expectAccessible(page);
  await picture(page, "inbox-empty");

  for (const title of ["One", "Two"]) await stentor.say(person, title, { summary: "It came while you looked elsewhere." });
  await expect(element(page).locator(".toast")).toHaveCount(2);
  await expectAccessible(page);
  await picture(page, "inbox-toasts");

  for (const title of ["One", "Two"]) await page.getByRole("button", { name: `Close: ${title}` }).click();
  await card(page, "One").hover();
  await tool(page, "Archive", "One").click();
  await expect(page.getByRole("button", { name: "Undo" })).toBeVisible();
  await expectAccessible(page);
  await picture(page, "inbox-archived");

  host.cut();
  await expect(element(page).locator(".trouble")).toContainText("No connection");
  await expectAccessible(page);
  await picture(page, "inbox-offline");
  // what is not there cannot be opened, and that is said as well
  await card(page, "Two").click();
  await expect(element(page).locator(".side")).toContainText("This cannot be loaded now");
  await expectAccessible(page);
  await picture(page, "inbox-not-loaded");
  await element(page).getByRole("button", { name: "Back" }).click();
  await page.getByRole("button", { name: "Preferences" }).click();
  await expect(element(page).locator(".side")).toContainText("This cannot be loaded now");
  await expectAccessible(page);
  host.restore();
  await element(page).locator(".side").getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("switch").first()).toBeVisible();

  host.tokenLife = -60;
  await page.goto(host.inboxPage("/signed-out", tag("no-cache")));
  await expect(element(page).locator(".trouble")).toContainText("You are signed out");
  await expectAccessible(page);
  await picture(page, "inbox-signed-out");

  // a Stentor that takes its time
  await page.route("**/token*", () => {});
  await page.goto(host.inboxPage("/loading", tag("no-cache")));
  await expect(element(page).locator(".ghost").first()).toBeVisible();
  await expectAccessible(page);
  await picture(page, "inbox-loading");
});

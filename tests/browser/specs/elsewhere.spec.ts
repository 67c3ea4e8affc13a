// Page and Stentor of different origins, as README shows it: one line of HTML in a page of the business.
import { expect, test } from "../src/fixtures.ts";
import { Host } from "../src/host.ts";
import { client, element, live, shown, titles } from "../src/widget.ts";

test("a page of a listed origin has a working inbox, and one of another origin has none", async ({ page, newBrowser, ownStentor: stentor, person }) => {
  const [host, stranger] = [await Host.start(stentor), await Host.start(stentor)];
  stentor.settings.STENTOR__REALTIME__ORIGINS = host.url;
  await stentor.restart();
  await stentor.say(person, "Across");
  const from = stentor.url;
  const policy = `default-src 'none'; script-src ${from}; connect-src 'self' ${from} ${from.replace("http", "ws")}; img-src 'self'`;
  const markup = `<!doctype html><html lang="en"><head><title>A site</title><link rel="icon" href="/picture.svg">
<script type="module" src="${from}/widget/v1/stentor-inbox.js"></script></head>
<body><stentor-inbox variant="panel" token-url="/token?for=${person}"></stentor-inbox></body></html>`;

  await page.goto(host.page("/across", markup, undefined, policy));
  await live(page);
  expect((await client(page)).way).toBe("ws");
  await expect(titles(page)).toHaveText([/Across/]);
  await page.getByRole("button", { name: "Mark all as read" }).click();
  await expect.poll(() => stentor.unread(person)).toBe(0);
  // what goes over plain HTTP, too
  await page.getByRole("button", { name: "Preferences" }).click();
  await page.getByRole("switch", { name: "Everything: SMS" }).uncheck();
  await expect.poll(async () => (await stentor.api("GET", `/v1/recipients/${person}`)).preferences?.channels).toEqual({ sms: false });
  expect(host.asked, "nothing of it goes through the site").toEqual([]);

  const other = await (await newBrowser()).newPage();
  await other.goto(stranger.page("/across", markup, undefined, policy));
  await expect(element(other).locator(".trouble")).toContainText("This site may not show your notifications");
  await expect(titles(other)).toHaveCount(0);
  expect(await shown(other)).toBe(0);
  for (const site of [host, stranger]) await site.stop();
});

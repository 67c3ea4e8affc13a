// That the tests notice what they promise to notice: a breach of a page's policy, and an error that nobody caught.
import { expect, test } from "../src/fixtures.ts";
import { live } from "../src/widget.ts";

test("a breach of the policy and an error in a script are noted, and would fail the test", async ({ page, host, faults }) => {
  host.page("/broken.js", "setTimeout(() => { throw new Error('nobody caught me') })", "text/javascript");
  await page.goto(host.inboxPage("/broken", `<p style="color: red">inline</p><script>1</script>`, `<script src="/broken.js"></script>`));
  await expect.poll(() => faults).toEqual(expect.arrayContaining([
    expect.stringMatching(/^policy: style-src-attr inline/),
    expect.stringMatching(/^policy: script-src-elem inline/),
    expect.stringContaining("nobody caught me"),
  ]));
  faults.length = 0;
});

test("the widget breaks no policy, whatever it shows", async ({ page, host, stentor, person, faults }) => {
  // what could: styles, pictures, the icon of a page, the sound, what a sender writes
  const body = `<p style="color:red">Words</p><script>alert(1)</script>\n\n![A picture](${host.url}/picture.svg)`;
  const attributes = `toasts sound title-badge favicon-badge="/picture.svg?unread" categories="a:A, b:B"`;
  await page.goto(host.inboxPage("/strict", `<stentor-inbox ${attributes} token-url="/token?for=${person}"></stentor-inbox>`));
  await live(page);
  await page.locator("h1").click();
  const inbox = page.locator("stentor-inbox");
  await stentor.say(person, "Strictly", { summary: "in short", body_markdown: body, image: { url: `${host.url}/picture.svg` }, link: `${host.url}/strict` }, { category: "a" });
  await inbox.locator(".toast .card").click();
  await expect(inbox.locator(".content")).toContainText("Words");
  await expect(inbox.locator(".content [style], .content script")).toHaveCount(0);
  await inbox.locator(".settings").click();
  await expect(page.getByRole("switch").first()).toBeVisible();
  await page.setViewportSize({ width: 375, height: 700 });
  await expect(inbox.locator(".box")).toBeVisible();
  expect(await inbox.evaluate((node) => [...node.shadowRoot!.querySelectorAll("[style], style, script")].length), "nothing is inline").toBe(0);
  expect(faults).toEqual([]);
});

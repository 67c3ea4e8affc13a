// What a first author stumbled over.
import { expect, expectAccessible, test } from "../src/fixtures.ts";
import { card, inFrame, open, template, write } from "../src/studio.ts";

test("an unfinished tag leaves the preview where it stands, and says that it is from before", async ({ page, stentor }) => {
  await open(page, stentor, await template(stentor));
  await page.setViewportSize({ width: 1280, height: 800 });
  const panel = page.getByRole("tabpanel");
  const problem = page.getByRole("region", { name: "Problems" }).getByRole("button").first();
  await expect(inFrame(page).getByText("Express: your parcel of 2.5 kg")).toBeVisible();
  const stand = () => panel.evaluate((panel) => [...panel.children].map((part) => part.getBoundingClientRect().toJSON()));
  for (const tab of ["Inbox", "Mail", "Phone", "Dark", "Plain text", "Source", "SMS"]) {
    await page.getByRole("tab", { name: tab }).click();
    const before = await stand();
    const frame = await panel.locator("iframe").last().elementHandle({ timeout: 100 }).catch(() => null);
    await page.locator(".cm-content").click();
    await page.keyboard.press("ControlOrMeta+End");
    await page.keyboard.insertText("{{nam");
    await expect(problem).toContainText("never closed");
    await expect(page.locator(".see").getByText("From before the mistakes")).toBeVisible();
    expect(await stand(), tab).toEqual(before);
    expect(await frame?.evaluate((frame) => frame.isConnected), "it is not drawn anew, and stays where it was scrolled to").not.toBe(false);
    if (tab === "Inbox") {
      await expectAccessible(page);
      // The problem has the width of its list, and its place a line of its own.
      const [words, list] = [(await problem.locator(".what").boundingBox())!, (await problem.boundingBox())!];
      expect(words.width).toBeGreaterThan(list.width - 40);
      await page.getByText("Change the data").click(); // nothing lies over it
      await page.getByText("Change the data").click();
    }
    await page.locator(".cm-content").click();
    await page.keyboard.press("ControlOrMeta+z");
    await expect(page.getByRole("region", { name: "Problems" })).toContainText("No problems");
    await expect(page.getByText("From before the mistakes")).toBeHidden();
  }
});

test("who opens a file of a language sees that language, and a test is sent in it, on the template's channels", async ({ page, stentor, person }) => {
  const key = await template(stentor, { "template.toml": 'title = "Parcel"\ncategory = "orders"\nchannels = ["inbox", "email"]\ndefault_locale = "en"\n' });
  await open(page, stentor, key);
  const language = page.getByLabel("Language");
  const file = (name: string) => page.getByRole("navigation", { name: "Files" }).getByRole("button", { name });
  await expect(language).toHaveValue("en");
  await file("de/content.md").click();
  await expect(card(page)).toContainText("Hallo Ada");
  await expect(language).toHaveValue("de");
  await file("schema.json").click(); // is of no language
  await expect(page.getByRole("heading", { name: "schema.json" })).toBeVisible();
  await expect(language).toHaveValue("de");

  // Another language is a new file, shown as soon as the template has it.
  await page.getByRole("button", { name: "New file" }).click();
  await page.getByLabel("Its path").fill("fr/content.md");
  await page.keyboard.press("Enter");
  await write(page, '+++\ntitle = "Bonjour {{name}}"\nsummary = "{{nam"\n+++\n\nBonjour.\n');
  await expect(page.getByRole("region", { name: "Problems" })).toContainText("fr/content.md");
  await write(page, '+++\ntitle = "Bonjour {{name}}"\nsummary = "{{tracking}} {{number weight}} {{express}}"\n+++\n\nBonjour.\n');
  await expect(card(page)).toContainText("Bonjour Ada");
  await expect(language).toHaveValue("fr");

  // What is picked by hand stays while that file is written and published, until another is opened.
  const looked = () => page.evaluate(() => Number(document.documentElement.dataset.looked));
  const looksAgain = async (deed: () => Promise<void>) => {
    const before = await looked();
    await deed();
    await expect.poll(looked).toBeGreaterThan(before);
  };
  await looksAgain(async () => void (await language.selectOption("en")));
  await looksAgain(() => write(page, '+++\ntitle = "Salut {{name}}"\nsummary = "{{tracking}} {{number weight}} {{express}}"\n+++\n\nSalut.\n'));
  await expect(card(page)).toContainText("Hello Ada");
  await page.getByRole("button", { name: "Publish…" }).click();
  await looksAgain(() => page.getByRole("dialog").getByRole("button", { name: "Publish" }).click());
  await expect(language).toHaveValue("en");
  await expect(card(page)).toContainText("Hello Ada");
  await file("schema.json").click();
  await file("fr/content.md").click();
  await expect(card(page)).toContainText("Salut Ada");

  await page.getByRole("button", { name: "Send me a test" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("in the language of the preview (fr)");
  await expect(dialog.getByLabel("inbox")).toBeChecked();
  await expect(dialog.getByLabel("email")).toBeChecked();
  await expect(dialog.getByLabel("sms")).not.toBeChecked();
  await page.getByLabel("To the recipient with this id").fill(person);
  await dialog.getByLabel("email").uncheck();
  await dialog.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("status").first()).toContainText("A test is on its way");
  const titles = async () => (await stentor.api("GET", `/v1/recipients/${person}/inbox`)).items.map((item: any) => item.title);
  await expect.poll(titles).toEqual(["Salut Ada"]);
});

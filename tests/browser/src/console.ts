// The console in a test: an operator signs in, and a working day is there to be looked at.
import { execFileSync } from "node:child_process";

import type { Page } from "@playwright/test";

import { expect } from "./fixtures.ts";
import type { Caller } from "./stentor.ts";

/** Signs in by the link that `stentor dev` prints. */
export async function enter(page: Page, stentor: Caller): Promise<void> {
  await page.goto(stentor.ready.console_url);
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
}

/** What an operator would find on a working day, of one test's own. */
export async function aDay(stentor: Caller, person: string): Promise<string> {
  const data = { amount: { value: "1234.50", currency: "CNY" }, due_date: "2026-12-05", card: "6222" };
  await stentor.api("PUT", `/v1/recipients/${person}`, { email: `${person}@example.com`, locale: "en", attributes: { tier: "gold" } });
  await stentor.api("PUT", `/v1/recipients/${person}/preferences`, { channels: { sms: false }, categories: { news: { email: false } } });
  await stentor.api("PUT", `/v1/topics/t-${person}/recipients/${person}`);
  const send = async (body: object) => ((await stentor.api("POST", "/v1/notifications", body)) as { id: string }).id;
  const id = await send({ audience: { recipients: [person] }, template: "card-repayment-due", channels: ["inbox", "email", "sms"], data, metadata: { order: "42" } });
  await send({ audience: { topic: `t-${person}` }, content: { title: "For the few" } });
  await expect.poll(async () => ((await stentor.api("GET", `/v1/notifications/${id}`)) as { status: string }).status).toBe("completed");
  return id;
}

/** What is worth a picture beside that: something to come, something given up, an address that is not written to, some traffic. */
export async function more(stentor: Caller, person: string): Promise<void> {
  bury(stentor, `job-${person}`);
  await stentor.api("POST", "/v1/suppressions", { channel: "email", address: `${person}@example.com`, category: "news", detail: "asked by phone" });
  await stentor.send([person], { content: { title: "Your statement is ready" }, send_at: new Date(Date.now() + 864e5).toISOString() });
  const names = ["grace", "ada", "alan", "barbara", "edsger"];
  for (const name of names) await stentor.api("PUT", `/v1/recipients/${name}`, { email: `${name}@example.com`, locale: "en", timezone: "Europe/London" });
  for (const title of ["Your parcel is on its way", "A new sign-in", "Thank you for your order"]) await stentor.say(names[title.length % 5]!, title);
  await stentor.send("everyone", { content: { title: "We are back" } });
}

/** Work that no worker can do: it is a dead letter at once. */
export function bury(stentor: Caller, job: string): void {
  const payload = JSON.stringify({ app: stentor.ready.app, to: "+491701234567", "this is": "no delivery" });
  execFileSync("redis-cli", ["-u", stentor.ready.redis_url, "XADD", "stentor:{q:sms}:normal", "*", "i", job, "a", "0", "d", payload]);
}

/** Each page, by the name of its picture. */
export const PAGES = (id: string, person: string) => [
  ["overview", "/console"], ["notifications", "/console/notifications"], ["notification", `/console/notifications/${id}`],
  ["recipients", "/console/recipients"], ["recipient", `/console/recipients/${person}`], ["topics", "/console/topics"],
  ["topic", `/console/topics/t-${person}`], ["templates", "/console/templates"], ["studio", "/console/templates/card-repayment-due"], ["queues", "/console/queues"],
  ["dead-letters", "/console/dead-letters"], ["providers", "/console/providers"], ["keys", "/console/keys"],
  ["settings", "/console/settings"], ["apps", "/console/apps"], ["audit", "/console/audit"], ["nothing", "/console/nothing"],
];

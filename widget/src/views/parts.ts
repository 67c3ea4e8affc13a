// What several views are made of.
import { html, nothing, type TemplateResult } from "lit";

import type { Image } from "../frames.js";
import type { Words } from "../words/en.js";

interface More {
  /** What is said of it where it is pointed at; the label if absent. */
  title?: string;
  name?: string;
  off?: boolean;
  pressed?: boolean;
}

/** A button that is an icon; `label` is said of it. */
export const button = (icon: TemplateResult, label: string, does: () => void, { title = label, name = "", off = false, pressed }: More = {}): TemplateResult =>
  html`<button class="icon ${name}" aria-label=${label} title=${title} ?disabled=${off} aria-pressed=${pressed ?? nothing} @click=${does}>${icon}</button>`;

/** Something could not be loaded. */
export const failure = (words: Words, retry: () => void): TemplateResult =>
  html`<div class="end"><span>${words.cannotLoad}</span> <button @click=${retry}>${words.retry}</button></div>`;

/** Something is on its way. */
export const ghost = (words: Words): TemplateResult => html`<div class="ghost" role="img" aria-label=${words.loading}><b></b><s></s></div>`;

/** A picture, if there is one. One that cannot be shown leaves no hole. */
export const picture = (image: Image | undefined, name = ""): TemplateResult | typeof nothing =>
  image ? html`<img class=${name} src=${image.url} alt=${image.alt ?? ""} loading="lazy" @error=${hide}>` : nothing;

const hide = (event: Event): void => {
  (event.target as HTMLElement).hidden = true;
};

// What a person wants to receive: a switch for each category and channel. What was never chosen is on.
import { html, type TemplateResult } from "lit";

import type { Preferences } from "../frames.js";
import type { Language } from "../language.js";
import { failure, ghost } from "./parts.js";

const CHANNELS = ["inbox", "email", "sms"] as const;

type Save = (preferences: Preferences) => void;

export function choices(
  { value, failed }: { value?: Preferences; failed?: boolean },
  language: Language,
  categories: [name: string, label: string][],
  save: Save,
  retry: () => void,
): TemplateResult {
  const { words } = language;
  if (failed) return failure(words, retry);
  if (!value) return ghost(words);
  const { channels = {}, categories: chosen = {} } = value;
  const row = (label: string, on: (channel: string) => boolean, set: (channel: string, on: boolean) => Preferences) => html`
    <tr><th scope="row"><bdi>${label}</bdi></th>${CHANNELS.map((channel) => html`<td><input type="checkbox" role="switch" aria-label="${label}: ${words[channel]}"
      .checked=${on(channel)} @change=${(event: Event) => save(set(channel, (event.target as HTMLInputElement).checked))}></td>`)}</tr>`;
  return html`<div class="preferences" part="preferences">
    <h3 tabindex="-1">${words.preferences}</h3>
    <table><thead><tr><td></td>${CHANNELS.map((channel) => html`<th scope="col">${words[channel]}</th>`)}</tr></thead><tbody>
      ${row(words.everything, (channel) => channels[channel] ?? true, (channel, on) => ({
        // A choice for all outweighs what was chosen before for each.
        channels: { ...channels, [channel]: on },
        categories: Object.fromEntries(Object.entries(chosen).map(([name, { [channel]: _, ...others }]) => [name, others])),
      }))}
      ${categories.map(([name, label]) => row(label, (channel) => chosen[name]?.[channel] ?? channels[channel] ?? true, (channel, on) => ({
        channels, categories: { ...chosen, [name]: { ...chosen[name], [channel]: on } },
      })))}
    </tbody></table></div>`;
}

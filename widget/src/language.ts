// How things are said in a language: words, plurals, times, direction. Numbers and times are Intl's, not ours.
import { ar } from "./words/ar.js";
import { de } from "./words/de.js";
import { en, type Plural, type Words } from "./words/en.js";
import { zhCN } from "./words/zh-CN.js";

const SHIPPED: Record<string, Words> = { ar, de, en, zh: zhCN };
const RIGHT_TO_LEFT = ["ar", "dv", "fa", "he", "ku", "ps", "sd", "ug", "ur", "yi"];

const STEPS: [unit: Intl.RelativeTimeFormatUnit, seconds: number][] = [
  ["year", 31_557_600], ["month", 2_629_800], ["week", 604_800], ["day", 86_400], ["hour", 3_600], ["minute", 60],
];

export class Language {
  readonly words: Words;
  readonly direction: "ltr" | "rtl";
  readonly #plural: Intl.PluralRules;
  readonly #number: Intl.NumberFormat;
  readonly #ago: Intl.RelativeTimeFormat;
  readonly #date: Intl.DateTimeFormat;

  /** `own` words are stronger than those that are shipped, and may be of a language that is not. */
  constructor(readonly locale: string, own: Partial<Words> = {}) {
    const base = locale.toLowerCase().split("-")[0]!;
    this.words = { ...(SHIPPED[base] ?? en), ...own };
    this.direction = RIGHT_TO_LEFT.includes(base) ? "rtl" : "ltr";
    this.#plural = new Intl.PluralRules(locale);
    this.#number = new Intl.NumberFormat(locale);
    this.#ago = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
    this.#date = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });
  }

  /** The locale if it is one, else English: a page may say anything. */
  static of(locale: string, own?: Partial<Words>): Language {
    try {
      return new Language(locale, own);
    } catch {
      return new Language("en", own);
    }
  }

  number(n: number): string {
    return this.#number.format(n);
  }

  count(plural: Plural, n: number): string {
    return (plural[this.#plural.select(n)] ?? plural.other).replace("{n}", this.number(n));
  }

  /** How long ago something was: "5 min. ago", "yesterday". */
  ago(time: string): string {
    const seconds = (Date.now() - Date.parse(time)) / 1_000;
    const [unit, length] = STEPS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
    return unit === "second" ? this.#ago.format(0, "second") : this.#ago.format(-Math.round(seconds / length), unit);
  }

  date(time: string): string {
    return this.#date.format(new Date(time));
  }
}

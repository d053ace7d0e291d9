// The words of the page in the reader's language. Every text is one row of `strings.ts` with all
// languages in it, so a missing one does not compile.
import { type Key, strings } from "./strings";

export type Language = "en" | "zh";
const PLACE = "ayni.language";

function usual(): Language {
  const chosen = localStorage.getItem(PLACE);
  if (chosen === "en" || chosen === "zh") return chosen;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

class Speech {
  language = $state<Language>(usual());

  choose(language: Language): void {
    localStorage.setItem(PLACE, language);
    this.language = language;
  }
}

export const speech = new Speech();

/** The text of that row; `{name}` is replaced by the value of that name. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return strings[key][speech.language].replace(/\{(\w+)\}/g, (hole, name: string) => String(values[name] ?? hole));
}

/** A word of the API (a state, a phase), translated if the table has it. */
export function word(prefix: string, value: string): string {
  const key = `${prefix}.${value}`;
  return key in strings ? t(key as Key) : value.replaceAll("_", " ");
}

export function date(time: number): string {
  const locale = speech.language === "zh" ? "zh-CN" : "en-GB";
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }).format(time);
}

/** How long ago. */
export function ago(time: number, now: number): string {
  const seconds = Math.round((time - now) / 1_000);
  const locale = speech.language === "zh" ? "zh-CN" : "en-GB";
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
  const size = Math.abs(seconds);
  if (size < 60) return format.format(seconds, "second");
  if (size < 3_600) return format.format(Math.trunc(seconds / 60), "minute");
  if (size < 86_400) return format.format(Math.trunc(seconds / 3_600), "hour");
  return format.format(Math.trunc(seconds / 86_400), "day");
}

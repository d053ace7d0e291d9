// Figures for people, written as the command line writes them.

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count: number): string {
  let at = 0;
  let shown = count;
  while (shown >= 1024 && at < SIZES.length - 1) {
    shown /= 1024;
    at += 1;
  }
  return at === 0 ? `${count} B` : `${shown.toFixed(1)} ${SIZES[at]}`;
}

/** A count: `12.3 G`. Text, because fuel goes past what numbers hold exactly. */
export function count(value: string | number): string {
  let shown = Number(value);
  if (shown < 10_000) return String(value);
  const units = ["", "\u00a0k", "\u00a0M", "\u00a0G", "\u00a0T", "\u00a0P", "\u00a0E"];
  let at = 0;
  while (shown >= 1000 && at < units.length - 1) {
    shown /= 1000;
    at += 1;
  }
  return `${shown.toFixed(1)}${units[at]}`;
}

/** A whole number with its thousands apart: `1,234,567`. */
export function exact(value: string | number | bigint): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** An amount of the token, of which the smallest unit is a millionth. */
export function tokens(amount: string | bigint): string {
  const digits = String(amount).padStart(7, "0");
  return `${exact(digits.slice(0, -6))}.${digits.slice(-6)}`;
}

/** Votes, of which the smallest unit is 10⁻¹⁸; what is left out is less than one. */
export function votes(amount: string): string {
  return exact(BigInt(amount) / 10n ** 18n);
}

export function ms(time: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  if (time < 1_000) return `${Math.round(time)} ms`;
  if (time < 60_000) return `${Math.floor(time / 1_000)}.${Math.floor((time % 1_000) / 100)} s`;
  if (time < 3_600_000) return `${Math.floor(time / 60_000)} min ${two((time % 60_000) / 1_000)} s`;
  if (time < 172_800_000) return `${Math.floor(time / 3_600_000)} h ${two((time % 3_600_000) / 60_000)} min`;
  return `${Math.floor(time / 86_400_000)} d`;
}

export function share(ppm: number): string {
  return `${(ppm / 10_000).toFixed(ppm % 10_000 === 0 ? 0 : 2)}%`;
}

/** Ids cut as the command line cuts them: to 10 digits, of nodes the last. */
export function short(id: string): string {
  return id.startsWith("did:key:") ? id.slice(-10) : id.slice(0, id.startsWith("0x") ? 12 : 10);
}

export function sum(amounts: Iterable<string>): bigint {
  let total = 0n;
  for (const amount of amounts) total += BigInt(amount);
  return total;
}

/** Reads `64MiB`, `120s`, `50G` as the command line does; `null` if it can't be read. */
export function parse(text: string, units: Record<string, number>): bigint | null {
  const found = /^\s*([\d_]+)(?:\.(\d{1,6}))?\s*([a-zA-Z]*)\s*$/.exec(text);
  const factor = found === null ? undefined : units[found[3] ?? ""];
  if (found === null || factor === undefined) return null;
  const part = found[2] ?? "";
  const digits = BigInt(`${found[1]?.replaceAll("_", "")}${part}`);
  return (digits * BigInt(factor)) / 10n ** BigInt(part.length);
}

export const SIZE = { "": 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, kB: 1e3, MB: 1e6, GB: 1e9 };
export const TIME = { "": 1_000, ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };
export const COUNT = { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };

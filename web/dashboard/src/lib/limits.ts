// The owner's limits as a form: one row for each, how it is written, and the option of `ayni limits
// set` that does the same. What a limit may be is not known here: the node says what is wrong.
import type { OwnerLimits } from "./api";
import { quoted } from "./cut";
import { SIZE, TIME, parse } from "./format";
import type { Key } from "./strings";

export interface Limit {
  /** As the API calls it. */
  name: Exclude<keyof OwnerLimits, "schema">;
  label: Key;
  option: string;
  kind: "number" | "amount" | "size" | "time" | "yes" | "hours";
  /** Empty is off. */
  off?: true;
  placeholder?: string;
}

export const LIMITS: Limit[] = [
  { name: "cpus", label: "limit.cpus", option: "--cpus", kind: "number" },
  { name: "memory_bytes", label: "limit.memory", option: "--memory", kind: "size" },
  { name: "disk_bytes", label: "disk", option: "--disk", kind: "size" },
  { name: "price", label: "price_gigafuel", option: "--price", kind: "amount" },
  { name: "busy_percent", label: "limit.busy", option: "--busy-percent", kind: "number" },
  { name: "in_use_s", label: "limit.in_use", option: "--in-use", kind: "time", off: true, placeholder: "3m" },
  { name: "others_cpu_percent", label: "limit.others", option: "--others-cpu", kind: "number", off: true, placeholder: "25" },
  { name: "free_memory_percent", label: "limit.free", option: "--free-memory", kind: "number", off: true, placeholder: "10" },
  { name: "temperature_max", label: "limit.temperature", option: "--temperature", kind: "number", off: true, placeholder: "80" },
  { name: "transfer_per_day_bytes", label: "limit.transfer", option: "--transfer", kind: "size", off: true, placeholder: "20GiB" },
  { name: "hours", label: "limit.hours", option: "--hours", kind: "hours", placeholder: "mon-fri 22:00-07:00\nsat,sun" },
  { name: "on_battery", label: "limit.battery", option: "--on-battery", kind: "yes" },
  { name: "metered", label: "limit.metered", option: "--metered", kind: "yes" },
];

/** What the form holds: text for each limit, `yes` or `no` for those that are one. */
export type Form = Record<Limit["name"], string>;

/** In the largest unit that needs no fraction. */
function whole(value: number, units: [string, number][]): string {
  const [unit, size] = units.find(([, size]) => value !== 0 && value % size === 0) ?? units[units.length - 1]!;
  return `${value / size}${unit}`;
}

function written(limits: OwnerLimits, { name, kind }: Limit): string {
  const value = name === "price" ? limits.price.per_gigafuel : limits[name];
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.join("\n");
  if (kind === "yes") return value ? "yes" : "no";
  // What is left of a mebibyte is of no use to a reader, and what is not touched is not sent.
  if (kind === "size") return Number(value) < SIZE.MiB ? `${value}B` : whole(Math.floor(Number(value) / SIZE.MiB), [["GiB", 1024], ["MiB", 1]]);
  if (kind === "time") return whole(Number(value), [["h", 3_600], ["m", 60], ["s", 1]]);
  return String(value);
}

export function filled(limits: OwnerLimits): Form {
  return Object.fromEntries(LIMITS.map((limit) => [limit.name, written(limits, limit)])) as Form;
}

/** A field whose text is no quantity at all. */
export class NoQuantity extends Error {
  constructor(readonly limit: Limit, readonly text: string) {
    super(limit.name);
  }
}

const lines = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter((line) => line !== "");

function read(limit: Limit, text: string): number | string | boolean | string[] | null {
  if (limit.kind === "yes") return text === "yes";
  if (limit.kind === "hours") return lines(text);
  if (limit.off && text.trim() === "") return null;
  const value = limit.kind === "size" ? parse(text, SIZE) : limit.kind === "time" ? parse(text, TIME) : parse(text, { "": 1 });
  if (value === null) throw new NoQuantity(limit, text);
  if (limit.kind === "amount") return String(value);
  const number = Number(limit.kind === "time" ? value / 1_000n : value);
  if (!Number.isSafeInteger(number)) throw new NoQuantity(limit, text);
  return number;
}

/** Those of the form that are not as they were filled in. */
export const changed = (form: Form, before: Form): Limit[] => LIMITS.filter(({ name }) => form[name] !== before[name]);

/** `limits` with those of the form; the others stay as they are now, whoever set them. */
export function merged(limits: OwnerLimits, form: Form, which: Limit[]): OwnerLimits {
  const next = { ...limits, price: { ...limits.price } };
  for (const limit of which) {
    const value = read(limit, form[limit.name]);
    if (limit.name === "price") next.price.per_gigafuel = value as string;
    else Object.assign(next, { [limit.name]: value });
  }
  return next;
}

/** The command that does the same. */
export function command(form: Form, which: Limit[]): string {
  const options = which.flatMap(({ name, kind, option, off }) => {
    const text = form[name].trim();
    const values = kind === "hours" ? (text === "" ? ["always"] : lines(text)) : [off && text === "" ? "off" : text.replaceAll(" ", "")];
    return values.map((value) => ` ${option} ${quoted(value)}`);
  });
  return `ayni limits set${options.join("")}`;
}

/** Which limit an error of the API speaks of, if of one. */
export function blamed(message: string): Limit | null {
  const name = /(?:^| )([a-z_]+)(?: = |: )/g;
  for (const [, found] of message.matchAll(name)) {
    const limit = LIMITS.find((one) => one.name === found);
    if (limit) return limit;
  }
  return null;
}

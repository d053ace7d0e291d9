// How a job is cut into tasks, by the rules of the command line: one task, a task a piece of a
// range, or a task a file. Placeholders in arguments are replaced; `{{` and `}}` are braces.
import type { TaskJson } from "./api";

export type Split =
  | { kind: "single" }
  | { kind: "range"; from: number; to: number; step: number }
  | { kind: "map"; files: { name: string; digest: string }[] };

/** Tasks of one job: the node's limit. */
export const TASKS_MAX = 1_000_000;

export class CutError extends Error {
  constructor(
    readonly key: "cut.brace" | "cut.hole" | "cut.range" | "cut.empty",
    readonly values: Record<string, string | number> = {},
  ) {
    super(key);
  }
}

export function fill(text: string, values: Record<string, string>): string {
  let out = "";
  let rest = text;
  for (;;) {
    const at = rest.search(/[{}]/);
    if (at < 0) return out + rest;
    const brace = rest.charAt(at);
    out += rest.slice(0, at);
    rest = rest.slice(at + 1);
    if (rest.startsWith(brace)) {
      out += brace;
      rest = rest.slice(1);
      continue;
    }
    const end = brace === "{" ? rest.indexOf("}") : -1;
    if (end < 0) throw new CutError("cut.brace", { text, brace });
    const name = rest.slice(0, end);
    const value = values[name];
    if (value === undefined) throw new CutError("cut.hole", { text, name: `{${name}}`, known: Object.keys(values).map((one) => `{${one}}`).join(" ") });
    out += value;
    rest = rest.slice(end + 1);
  }
}

/** How many tasks a split makes. */
export function countOf(split: Split): number {
  if (split.kind === "single") return 1;
  if (split.kind === "map") return split.files.length;
  const { from, to, step } = split;
  if (![from, to, step].every(Number.isSafeInteger) || step < 1 || to < from) throw new CutError("cut.range");
  return Math.ceil((to - from) / step);
}

/** The tasks: `common` with the arguments filled in and a mapped file added. */
export function cut(split: Split, args: string[], common: Omit<TaskJson, "args">): TaskJson[] {
  const count = countOf(split);
  if (count === 0 || count > TASKS_MAX) throw new CutError("cut.empty", { count });
  return Array.from({ length: count }, (_, index) => {
    if (split.kind === "single") return { ...common, args };
    const own: Record<string, string> = { index: String(index) };
    let mounts = common.mounts;
    if (split.kind === "range") {
      const start = split.from + index * split.step;
      Object.assign(own, { start: String(start), end: String(Math.min(start + split.step, split.to)) });
    } else {
      const file = split.files[index] as { name: string; digest: string };
      const path = `/in/${file.name}`;
      Object.assign(own, { "": path, name: file.name.replace(/(.)\.[^.]*$/, "$1") });
      mounts = [...(mounts ?? []), { path, kind: "file", blob: file.digest }];
    }
    return { ...common, mounts, args: args.map((arg, at) => (at === 0 ? arg : fill(arg, own))) };
  });
}

/** Splits a line into arguments; quotes keep spaces. */
export function words(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map(([, double, single, plain]) =>
    double !== undefined ? double.replace(/\\(.)/g, "$1") : (single ?? plain ?? ""),
  );
}

/** A word as a shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./{}-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

// The example programs that the page can submit, read from where the examples are kept: each
// `job.toml` says how a program is cut into tasks. Programs are committed built, and small. Their
// data is not in this repository, so the page asks for the files that a job mounts.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse } from "smol-toml";
import type { Plugin } from "vite";
import type { Example } from "./src/lib/example";
import { strings } from "./src/lib/strings";

const ROOT = resolve(import.meta.dirname, "../..");
const WITH_DATA = ["weather", "grid", "demand", "genomes", "traffic", "molecules"];
// Without data: what a newcomer can run at once.
const ALONE = ["nbody", "primes"];

interface JobFile {
  program: string;
  args: string[];
  mounts?: { host: string; guest: string }[];
  range: { from: number; to: number; step: number };
  memory: string;
  fuel: number | bigint;
  timeout: string;
}

function read(name: string, folder: string): { example: Example; program: Buffer } {
  const text = readFileSync(resolve(folder, "job.toml"), "utf8");
  const job = parse(text) as unknown as JobFile;
  // The first comment says what the job asks; the page says it in each of its languages.
  const about = /^# (.*)$/m.exec(text)?.[1];
  const texts: Record<string, { en: string }> = strings;
  if (about !== texts[`example.${name}`]?.en) {
    throw new Error(`\`example.${name}\` in src/lib/strings.ts is not what ${folder}/job.toml begins with: ${about}`);
  }
  const example: Example = {
    name,
    program: `/examples/${name}.wasm`,
    args: job.args,
    mounts: (job.mounts ?? []).map((mount) => ({ file: mount.host, guest: mount.guest })),
    range: job.range,
    memory: job.memory,
    fuel: Number(job.fuel) % 1e9 === 0 ? `${Number(job.fuel) / 1e9}G` : String(job.fuel),
    timeout: job.timeout,
  };
  return { example, program: readFileSync(resolve(folder, job.program)) };
}

export function examples(): Plugin {
  return {
    name: "ayni-examples",
    apply: "build",
    generateBundle() {
      const all = [
        ...ALONE.map((name) => read(name, resolve(import.meta.dirname, "examples", name))),
        ...WITH_DATA.map((name) => read(name, resolve(ROOT, "examples", name))),
      ];
      for (const { example, program } of all) {
        this.emitFile({ type: "asset", fileName: example.program.slice(1), source: program });
      }
      const source = JSON.stringify(all.map(({ example }) => example));
      this.emitFile({ type: "asset", fileName: "examples/list.json", source });
    },
  };
}

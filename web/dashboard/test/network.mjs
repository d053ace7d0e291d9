// A network of real processes for the tests, and jobs on it; taken down at the end.
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);
const GUESTS = new URL("../../../bench/guests/", import.meta.url).pathname;

/** Starts `ayni dev` with accounts, stake and one provider that lies. */
export async function network(ayni) {
  const folder = mkdtempSync(join(tmpdir(), "ayni-dashboard-"));
  const args = ["dev", "--json", "--providers", "4", "--dir", join(folder, "net"), "--paid", "--stake", "40000000", "--cheat", "3:digit", "--clock-ahead", join(folder, "ahead")];
  const process = spawn(ayni, args, { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  process.stderr.on("data", (text) => (log += text));
  const ended = new Promise((done) => process.once("exit", done));
  const lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  const { value, done } = await lines.next();
  if (done) throw new Error(`the network did not start: ${log}`);
  const started = JSON.parse(value);
  const nodes = Object.fromEntries(started.nodes.map((node) => [node.name, node]));
  // The ledger's folder is a home as well: that of the account that everything belonged to at first.
  const at = (name) => nodes[name]?.home ?? join(folder, "net", name);
  /** Puts the ledger's clock so many seconds ahead of this machine's. */
  const ahead = (seconds) => writeFileSync(join(folder, "ahead"), String(seconds));

  /** Runs `ayni` as the owner of a node; answers what it printed, as JSON. */
  async function command(name, ...args) {
    const { stdout } = await run(ayni, ["--home", at(name), "--json", ...args], { cwd: folder, maxBuffer: 64 << 20 });
    return stdout.trim() === "" ? null : JSON.parse(stdout.trim().split("\n").at(-1));
  }
  /** What `ayni VERBS --help` says; fails where there is no such command. */
  const help = async (...verbs) =>
    (await run(ayni, verbs[0] === "help" ? verbs : [...verbs, "--help"])).stdout;
  /** A login link to a node's dashboard. */
  const link = async (name, ...args) => (await command(name, "open", "--no-browser", ...args)).url;
  /** Submits a job of an example program in `tasks` tasks, each `size` longer than the one before,
   *  and waits for its end. */
  async function job(name, program, tasks, size, more = []) {
    const cut = ["--range", `0..${tasks * size}`, "--step", String(size)];
    const rest = ["--fuel", "50G", "--memory", "16MiB", "--detach", ...more, "--", "{end}"];
    const { job: id } = await command("requester", "run", join(GUESTS, `${program}.wasm`), "--name", name, ...cut, ...rest);
    await command("requester", "job", "attach", id);
    return id;
  }
  /** The rows of a job's tasks. */
  const tasks = async (id) => (await command("requester", "job", "show", id, "--tasks")).tasks;
  async function stop() {
    process.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  return { nodes, command, help, link, job, tasks, ahead, stop, folder };
}

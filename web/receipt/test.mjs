// The page's checker and its shim against the protocol's vectors: `node web/receipt/test.mjs [WASM]`.
// What is drawn is tested by `browser/test.mjs`, in a browser.
import { readFileSync } from "node:fs";
import { deepStrictEqual as same, ok, throws } from "node:assert";
import vm from "node:vm";

const here = (name) => new URL(name, import.meta.url);
for (const script of ["wasi.js", "generated.js"]) vm.runInThisContext(readFileSync(here(script)));
const vectors = JSON.parse(readFileSync(here("../../spec/vectors/receipts.json")));
const [wasm, example] = vm.runInThisContext("[CHECKER, EXAMPLE]");
ok(readFileSync(here("checker/checker.wasm")).equals(Buffer.from(fromBase64(wasm))));
// Another build of the checker may be given, to be judged by what it says.
const built = process.argv[2] ? readFileSync(process.argv[2]) : fromBase64(wasm);
const module = await WebAssembly.compile(built);
const judge = async (bytes) => JSON.parse(await runWasi(module, bytes));
const failing = (report) => {
  if (report.form !== null) return ["encoding"];
  return report.checks.filter((one) => one.failure !== null).map((one) => one.statement);
};

let count = 0;
for (const { name, bytes } of vectors.valid) {
  const report = await judge(readReceipt(bytes));
  ok(report.ok, name);
  same(report.checks.map((one) => one.statement), vectors.checks);
  same(await judge(Buffer.from(bytes, "hex")), report);
  same(await judge(readReceipt(Buffer.from(bytes, "hex").toString("base64"))), report);
  count += 1;
}
for (const { field, byte, failed = [] } of [...vectors.altered, ...vectors.beside]) {
  const bytes = readReceipt(vectors.of);
  bytes[byte] ^= 1;
  const report = await judge(bytes);
  same([field, failing(report)], [field, failed]);
  same(report.ok, failed.length === 0);
  count += 1;
}
ok((await judge(readReceipt(example))).ok);
for (const nothing of [[], [0x88], [0xff, 0xff]]) ok(!(await judge(Uint8Array.from(nothing))).ok);
throws(() => readReceipt("  "), /Nothing/);
throws(() => readReceipt("{}"), /neither.*`{`/);
throws(() => readReceipt("hello"), /neither.*5 characters/);
// No request to anywhere, whatever happens.
for (const script of ["index.html", "page.js", "wasi.js"]) {
  const text = readFileSync(here(script), "utf8");
  ok(!/https?:|fetch\(|XMLHttp|import\(/.test(text), script);
}
console.log(`${count} receipts judged as the vectors say`);

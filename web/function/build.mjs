// Makes a component of a JavaScript module: node build.mjs MODULE.js WIT OUT.wasm
//
// What a function has no use for is left out of the engine, so that the component imports nothing.

import { readFile, writeFile } from "node:fs/promises";

import { componentize } from "@bytecodealliance/componentize-js";

const [module, wit, out] = process.argv.slice(2);
if (out === undefined) {
  console.error("usage: node build.mjs MODULE.js WIT OUT.wasm");
  process.exit(64);
}
const { component, imports } = await componentize(await readFile(module, "utf8"), {
  witPath: wit,
  worldName: "function",
  disableFeatures: ["http", "fetch-event", "stdio", "clocks", "random"],
});
if (imports.length > 0) {
  console.error(`${module} makes the component import ${imports.join(", ")}`);
  process.exit(1);
}
await writeFile(out, component);

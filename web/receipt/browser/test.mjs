// The receipt page in a real Chromium, as a person meets it: served on loopback and opened as a
// file. `node web/receipt/browser/test.mjs [CHROMIUM]`, after `npm ci` beside this file.
//
// What the checker itself says is tested by `../test.mjs`. That each expectation here can fail is
// shown at the end, on copies of the page with one thing broken in each.
import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ok } from "node:assert";
import { chromium } from "playwright-core";
import { EXPECTATIONS, LOOKS } from "./expectations.mjs";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update",
  // Whatever a page asks for, nothing leaves this machine.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];
const FILES = { "index.html": "text/html", "page.js": "text/javascript", "wasi.js": "text/javascript", "generated.js": "text/javascript" };
const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");

// Copies of the page with one thing broken: which file, how, and which expectation must notice.
const BROKEN = {
  "a request to elsewhere": ["index.html", (text) => text
    .replace(/<meta http-equiv.*>/, "").replace("</main>", '<img alt="" src="http://127.0.0.1:9/x"></main>'), "the example holds"],
  "a word on the console": ["page.js", (text) => `${text}\nconsole.error("planted");`, "the example holds"],
  "a verdict that is always good": ["page.js", (text) => text.replace("if (report.ok)", "if (true)"), "a flipped byte is refused"],
  "a reason left out": ["page.js", (text) => text.replace("`not so: ${one.failure}`", '""'), "a flipped byte is refused"],
  "an old result under a new error": ["page.js", (text) => text.replace('find("result").hidden = true;', ""), "nonsense is a clear error"],
  "a button that no key reaches": ["index.html", (text) => text.replace('id="example"', '$& tabindex="-1"'), "the keyboard is enough"],
  "a focus that is not seen": ["index.html", (text) => text.replace("outline: 3px solid var(--good)", "outline: none"), "the keyboard is enough"],
  "a field without a name": ["index.html", (text) => text.replace(' for="paste"', ""), LOOKS],
  "too pale a grey": ["index.html", (text) => text.replace("--soft: #5b5b55", "--soft: #c0c0b8"), LOOKS],
  "something wider than a phone": ["index.html", (text) => text.replace("h1 {", "h1 { width: 30rem;"), LOOKS],
};

// Serves the page at `/`, and each broken copy in a folder of its own.
async function serve() {
  const server = createServer((request, response) => {
    const [, folder, name] = /^(?:\/(\d+))?\/([a-z.]*)$/.exec(request.url) ?? [];
    const file = name === "" ? "index.html" : name;
    if (!Object.hasOwn(FILES, file ?? "")) return response.writeHead(404).end();
    const [broken, how] = folder === undefined ? [] : Object.values(BROKEN)[folder];
    const text = read(file);
    const given = broken === file ? how(text) : text;
    ok(broken !== file || given !== text, `copy ${folder} is not broken: the page has changed`);
    response.writeHead(200, { "content-type": `${FILES[file]}; charset=utf-8` }).end(given);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

// Meets one expectation on a fresh tab; returns what was wrong, or nothing.
async function meet(context, home, expectation) {
  const page = await context.newPage();
  const noise = [];
  page.setDefaultTimeout(20_000);
  page.on("request", (request) => {
    if (!request.url().startsWith(home)) noise.push(`a request went to ${request.url().slice(0, 200)}`);
  });
  page.on("requestfailed", (request) => noise.push(`a request failed: ${request.url().slice(0, 200)}`));
  page.on("console", (message) => noise.push(`on the console: ${message.text()}`));
  page.on("pageerror", (error) => noise.push(`an exception: ${error.message}`));
  try {
    await page.goto(home.endsWith("/") ? `${home}index.html` : home);
    await expectation(page);
  } catch (error) {
    noise.unshift(error.message);
  } finally {
    await page.close();
  }
  return noise.join("; ");
}

const executablePath = process.argv[2] ?? "/usr/bin/chromium";
const profile = mkdtempSync(join(tmpdir(), "receipt-page-"));
const server = await serve();
const served = `http://127.0.0.1:${server.address().port}/`;
let context;
try {
  context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args: FLAGS });
  const wrong = [];
  for (const home of [served, new URL("../", import.meta.url).href]) {
    for (const [name, expectation] of Object.entries(EXPECTATIONS)) {
      if (name === LOOKS && home !== served) continue;
      const complaint = await meet(context, home, expectation);
      if (complaint) wrong.push(`${home}: not so: ${name}: ${complaint}`);
    }
  }
  for (const [at, [name, [, , expectation]]] of Object.entries(BROKEN).entries()) {
    const complaint = await meet(context, `${served}${at}/`, EXPECTATIONS[expectation]);
    if (!complaint) wrong.push(`nobody noticed ${name}`);
    else if (process.env.RECEIPT_PAGE_VERBOSE) console.error(`${name}: ${complaint}`);
  }
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
  const counts = `${Object.keys(EXPECTATIONS).length} expectations, served and as a file, and ${Object.keys(BROKEN).length} broken copies`;
  console.log(`${counts}, in ${basename(executablePath)} ${context.browser()?.version() ?? ""}`.trim());
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
} finally {
  await context?.close();
  server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}

// A browser for the tests, and what every page has to keep: no request to anywhere else, nothing on
// the console, nothing that sticks out, nothing that a reader with other senses can't use.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createRequire } from "node:module";
import { ok } from "node:assert";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update",
  // Whatever a page asks for, nothing leaves this machine.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/** After so long nothing comes any more; a machine may be very busy. */
export const PATIENCE_MS = 300_000;

const tabs = new Set();

export const launch = (executablePath) => chromium.launch({ executablePath, args: FLAGS });

/** A page of a fresh browser profile; `noise` collects what must not happen. `expected` lists
 *  answers that the test itself provokes, as `STATUS PATH`. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const noise = [];
  const expected = new Set();
  const quiet = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "blob:" && url.hostname !== "127.0.0.1") noise.push(`a request went to ${url.href.slice(0, 200)}`);
  });
  page.on("response", (response) => {
    const url = new URL(response.url());
    const said = `${response.status()} ${url.pathname}`;
    if (response.status() < 400) return;
    if (expected.has(said)) quiet.push(said);
    else noise.push(`${response.request().method()} answered ${said}`);
  });
  page.on("console", (message) => {
    // The browser itself notes each answer that is no success; the answers are judged above.
    if (message.type() === "error" && message.text().startsWith("Failed to load resource")) return;
    if (["error", "warning"].includes(message.type())) noise.push(`on the console: ${message.text()}`);
  });
  page.on("pageerror", (error) => noise.push(`an exception: ${error.message}`));
  page.on("crash", () => noise.push("the page crashed"));
  // What a page that goes away did not wait for is no failure.
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText ?? "";
    if (why !== "net::ERR_ABORTED") noise.push(`${request.method()} ${new URL(request.url()).pathname} failed: ${why}`);
  });
  const tab = { context, page, noise, expected, quiet };
  tabs.add(tab);
  page.on("close", () => tabs.delete(tab));
  return tab;
}

/** For a person who has to find out why something failed: what every open page shows and did. */
export async function remains(folder) {
  const told = [];
  let at = 0;
  for (const { page, noise } of tabs) {
    const text = await page.locator("body").innerText({ timeout: 5_000 }).catch((error) => `(nothing: ${error.message.split("\n")[0]})`);
    await page.screenshot({ path: join(folder, `failed-${at++}.png`), timeout: 5_000 }).catch(() => {});
    told.push(`  ${page.url()}: ${JSON.stringify(text.slice(0, 400))}${noise.map((one) => `\n    ${one}`).join("")}`);
  }
  return told.join("\n");
}

/** Fails where something is wider than the window, or where axe finds something serious. */
export async function readsWell(page, where) {
  const wide = await page.evaluate(() => {
    const over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    if (over <= 0) return "";
    const worst = [...document.querySelectorAll("main *, header *")]
      .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && one.closest(".scroll, pre") === null)
      .slice(0, 3).map((one) => one.outerHTML.slice(0, 120));
    return `${over} pixels stick out to the right: ${worst.join(" ")}`;
  });
  ok(wide === "", `${where}: ${wide}`);
  // Going from one part of the page to another keeps the document, and axe in it.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const told = violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, help, nodes }) => `${id}: ${help} (${nodes[0].html.slice(0, 160)})`);
  ok(told.length === 0, `${where}: ${told.join("; ")}`);
}

/** A picture of the whole page. */
export async function keep(page, path) {
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path, fullPage: true });
}

/** Where the focus is; fails where it can't be seen. */
export async function focus(page) {
  const at = await page.evaluate(() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    const name = (element.getAttribute("aria-label") || element.labels?.[0]?.innerText || element.innerText || element.placeholder || element.tagName).trim().split("\n")[0];
    return { name, tag: element.tagName, seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
  });
  ok(at.tag === "BODY" || at.seen, `the focus is not seen on ${at.tag} ${at.name}`);
  return at.name;
}

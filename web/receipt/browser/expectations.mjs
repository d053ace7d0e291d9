// What a person may expect of the receipt page. Each takes a fresh tab with the page open, and
// throws what is not so. Requests, the console and exceptions are watched by who calls these.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { deepStrictEqual as same, match, ok } from "node:assert";

const vectors = JSON.parse(readFileSync(new URL("../../../spec/vectors/receipts.json", import.meta.url)));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const HOLDS = /^✓ The receipt holds\.$/;

// What the page shows, once it has made up its mind.
async function shown(page) {
  await page.waitForFunction(() => {
    const verdict = document.getElementById("verdict"), result = document.getElementById("result");
    return verdict.textContent !== "" && (result.hidden || result.ariaBusy === "false");
  });
  return page.evaluate(() => {
    const lines = [...document.querySelectorAll("#checks li")];
    return {
      verdict: document.getElementById("verdict").innerText,
      more: document.getElementById("more").innerText,
      result: document.getElementById("result").checkVisibility(),
      facts: [...document.querySelectorAll("#facts dt")].map((name) => name.innerText),
      checks: lines.map((line) => ({
        mark: line.firstChild.textContent.trim(),
        statement: line.childNodes[1].textContent,
        reason: line.querySelector("small")?.innerText,
      })),
    };
  });
}

// What was said before must not pass for the answer to what is asked next.
const forget = (page) => page.evaluate(() => { document.getElementById("verdict").textContent = ""; });

async function paste(page, text) {
  await page.fill("#paste", text);
  await forget(page);
  await page.click("#check");
  return shown(page);
}

async function flip(page, byte) {
  await forget(page);
  await page.locator("#bytes span").nth(byte).click();
  return shown(page);
}

function allHold({ verdict, more, result, facts, checks }) {
  match(verdict, HOLDS);
  same([more, result], ["", true]);
  same(checks, vectors.checks.map((statement) => ({ mark: "✓", statement, reason: undefined })));
  ok(["task", "outcome", "price", "provider"].every((name) => facts.includes(name)));
}

function refused({ verdict, more, result, checks }, expected) {
  ok(result, "the result is shown");
  if (expected[0] === "encoding") return match(verdict, /^✗ Refused: not a receipt \(.{10,}\)\.$/);
  same(verdict, `✗ Refused: ${expected.length} of ${vectors.checks.length} checks fail.`);
  same(more, `Not so: ${expected.join("; ")}.`);
  const failed = checks.filter((check) => check.mark === "✗");
  same(failed.map((check) => check.statement), expected);
  for (const { reason } of failed) match(reason, /^not so: .{10,}$/);
}

// One byte for each set of checks that a flip may break.
const TELLING = [...new Map(vectors.altered.map((one) => [one.failed.join(), one])).values()];

async function exampleHolds(page) {
  allHold(await paste(page, vectors.of));
  allHold(await paste(page, ` ${vectors.of.toUpperCase().replace(/(.{64})/g, "$1\n")}`));
  allHold(await paste(page, Buffer.from(vectors.of, "hex").toString("base64")));
  await page.reload();
  await page.click("#example");
  allHold(await shown(page));
  for (const { bytes } of vectors.valid) allHold(await paste(page, bytes));
}

async function flippedByteIsRefused(page) {
  allHold(await paste(page, vectors.of));
  for (const { byte, failed } of TELLING) {
    refused(await flip(page, byte), failed);
    allHold(await flip(page, byte));
  }
  for (const { byte } of vectors.beside) allHold(await flip(page, byte));
  await flip(page, TELLING[0].byte);
  await page.click("#restore");
  allHold(await shown(page));
  same(await page.locator("#bytes .flipped").count(), 0);
}

async function nonsenseIsAnError(page) {
  const cases = [
    ["", /Nothing was pasted/, false],
    ["{}", /neither hexadecimal nor Base64: it contains `{`/, false],
    ["<img src=x onerror=alert(1)>", /neither hexadecimal nor Base64: it contains `<`/, false],
    ["hello", /neither hexadecimal nor Base64: 5 characters/, false],
    ["00", /not a receipt \(.+\)/, true],
    ["deadbeef", /not a receipt \(.+\)/, true],
    [vectors.of.slice(0, -2), /not a receipt \(.+\)/, true],
    [`${vectors.of}00`, /not a receipt \(.+\)/, true],
  ];
  for (const [text, reason, result] of cases) {
    // After one that holds, of which nothing may stay.
    allHold(await paste(page, vectors.of));
    const said = await paste(page, text);
    match(said.verdict, /^✗ /);
    match(said.verdict, reason);
    match(said.more, /^hint: .{10,}/);
    same([said.result, said.checks.length], [result, result ? 0 : vectors.checks.length]);
  }
}

async function filesAreRead(page) {
  const choose = (buffer) => page.setInputFiles("#file", { name: "receipt", mimeType: "", buffer });
  const says = (text) => page.locator("#verdict", { hasText: text }).waitFor();
  await choose(Buffer.from(vectors.of, "hex"));
  await says("holds");
  allHold(await shown(page));
  await choose(Buffer.alloc((4 << 20) + 1));
  await says("More than 4 MiB");
  ok(!(await shown(page)).result);
  await choose(Buffer.alloc(0));
  await says("The file is empty");
  await choose(Buffer.alloc(1 << 20));
  await says("not a receipt");
  match(await page.locator("#bytes-left").innerText(), /^The first 16384 of 1048576 bytes/);
}

// Where the focus is; fails where it can't be seen.
async function focus(page) {
  const at = await page.evaluate(() => {
    const element = document.activeElement;
    const look = getComputedStyle(element.closest(".file") ?? element);
    return { name: element.id || `byte ${element.dataset.at ?? "?"}`, style: look.outlineStyle, width: parseFloat(look.outlineWidth) };
  });
  ok(at.style !== "none" && at.width >= 2, `the focus is not seen on ${at.name}`);
  return at.name;
}

async function keyboardIsEnough(page) {
  const press = async (key) => {
    await page.keyboard.press(key);
    return focus(page);
  };
  const walk = async (key, names) => {
    for (const name of names) same(await press(key), name);
  };
  await walk("Tab", ["paste"]);
  await page.keyboard.insertText(vectors.of);
  await walk("Tab", ["check", "file", "example"]);
  await walk("Shift+Tab", ["file", "check"]);
  await press("Enter");
  allHold(await shown(page));
  await walk("Tab", ["file", "example", "byte 0"]);
  await walk("ArrowRight", ["byte 1", "byte 2"]);
  await walk("ArrowLeft", ["byte 1"]);
  const below = Number((await press("ArrowDown")).slice("byte ".length));
  ok(below > 2, "down leads to the next row");
  await walk("ArrowUp", ["byte 1"]);
  await walk("End", [`byte ${vectors.of.length / 2 - 1}`]);
  await walk("Home", ["byte 0"]);
  const { byte, failed } = vectors.altered[0];
  for (let n = 0; n < byte; n++) await press("ArrowRight");
  for (const key of ["Enter", " "]) {
    same(await press(key), `byte ${byte}`);
    if (key === "Enter") refused(await shown(page), failed);
  }
  allHold(await shown(page));
  await press("Enter");
  await walk("Shift+Tab", ["restore"]);
  same(await press("Enter"), `byte ${byte}`);
  allHold(await shown(page));
}

async function readsWell(page) {
  const papers = new Set();
  for (const colorScheme of ["light", "dark"]) {
    for (const [width, height] of [[1280, 800], [360, 740], [320, 568]]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      await page.reload();
      const fits = async (state) => {
        const where = `${colorScheme}, ${width} wide, ${state}`;
        const scrolls = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        ok(scrolls <= 0, `${where}: ${scrolls} pixels stick out to the right`);
        if (width === 320) return;
        await page.evaluate(axe);
        // A thousand bytes look alike: some dozens, a flipped one among them, stand for all.
        const { violations } = await page.evaluate(() =>
          globalThis.axe.run({ exclude: ["#bytes span:nth-child(n+50)"] }, { resultTypes: ["violations"] }));
        const told = violations.map(({ help, nodes }) => `${help} (${nodes[0].html.slice(0, 120)})`);
        same(told, [], `${where}: ${told.join("; ")}`);
      };
      await fits("empty");
      await paste(page, "{}");
      await fits("an error");
      await paste(page, vectors.of);
      await fits("a receipt that holds");
      await flip(page, vectors.altered[0].byte);
      await fits("a refused receipt");
      await flip(page, vectors.altered.at(-1).byte);
      const seen = await page.locator("#verdict").evaluate((verdict) => {
        const { top, bottom } = verdict.getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight;
      });
      ok(seen, `${colorScheme}, ${width} wide: the verdict is out of sight where bytes are flipped`);
      papers.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    }
  }
  same(papers.size, 2, "light and dark look the same");
}

// What it looks like doesn't depend on where it came from, and is tried on the served page only.
export const LOOKS = "it reads well in light and dark, wide and narrow";

export const EXPECTATIONS = {
  "the example holds": exampleHolds,
  "a flipped byte is refused": flippedByteIsRefused,
  "nonsense is a clear error": nonsenseIsAnError,
  "files are read": filesAreRead,
  "the keyboard is enough": keyboardIsEnough,
  [LOOKS]: readsWell,
};

// The page: takes a receipt, runs the checker, shows every check, lets bytes be flipped.
"use strict";

const find = (id) => document.getElementById(id);
const checker = WebAssembly.compile(fromBase64(CHECKER));
let bytes = new Uint8Array(), flipped = new Set(), turn = 0;

function make(tag, text, look) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (look) element.className = look;
  return element;
}

function verdict(text, good) {
  find("verdict").textContent = text;
  find("verdict").className = good ? "good" : "bad";
}

async function check() {
  const mine = ++turn;
  const altered = bytes.map((byte, at) => (flipped.has(at) ? byte ^ 1 : byte));
  let report;
  try {
    report = JSON.parse(await runWasi(await checker, altered));
  } catch (error) {
    return verdict(error.message, false);
  }
  if (mine !== turn) return;
  const failed = report.checks.filter((one) => one.failure !== null).length;
  if (report.ok) verdict("✓ The receipt holds.", true);
  else if (report.form) verdict(`✗ Refused: not a receipt (${report.form}).`, false);
  else verdict(`✗ Refused: ${failed} of ${report.checks.length} checks fail.`, false);
  find("checks").replaceChildren(...report.checks.map((one) => {
    const line = make("li", one.failure === null ? "✓ " : "✗ ", one.failure === null ? "good" : "bad");
    line.append(one.statement);
    if (one.failure !== null) line.append(make("small", `not so: ${one.failure}`));
    return line;
  }));
  const facts = Object.entries(report.facts).flatMap(([name, value]) => [
    make("dt", name), make("dd", Array.isArray(value) ? JSON.stringify(value) : String(value)),
  ]);
  find("facts").replaceChildren(...facts);
  find("said").hidden = facts.length === 0;
  find("restore").hidden = flipped.size === 0;
  find("result").hidden = false;
}

function draw() {
  const cells = Array.from(bytes, (_, at) => {
    const cell = make("span", "");
    cell.dataset.at = at;
    cell.tabIndex = at === 0 ? 0 : -1;
    cell.setAttribute("role", "button");
    return cell;
  });
  find("bytes").replaceChildren(...cells);
  cells.forEach(dress);
}

function dress(cell) {
  const at = Number(cell.dataset.at), is = flipped.has(at);
  cell.textContent = (bytes[at] ^ (is ? 1 : 0)).toString(16).padStart(2, "0");
  cell.classList.toggle("flipped", is);
  cell.setAttribute("aria-pressed", String(is));
  cell.setAttribute("aria-label", `byte ${at}, ${cell.textContent}${is ? ", flipped" : ""}`);
}

function flip(cell) {
  const at = Number(cell.dataset.at);
  if (!flipped.delete(at)) flipped.add(at);
  dress(cell);
  focusOn(cell);
  check();
}

function focusOn(cell) {
  for (const other of find("bytes").querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
  cell.tabIndex = 0;
  cell.focus();
}

function take(receipt) {
  // The largest that a node takes.
  if (receipt.length > 4 << 20) return verdict("✗ More than 4 MiB: no receipt is so long.", false);
  bytes = receipt;
  flipped = new Set();
  draw();
  check();
}

function takeText(text) {
  try {
    take(readReceipt(text));
  } catch (error) {
    find("result").hidden = true;
    verdict(`✗ ${error.message}`, false);
  }
}

find("check").addEventListener("click", () => takeText(find("paste").value));
find("example").addEventListener("click", () => {
  find("paste").value = EXAMPLE;
  takeText(EXAMPLE);
});
find("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (file) take(new Uint8Array(await file.slice(0, (4 << 20) + 1).arrayBuffer()));
});
find("restore").addEventListener("click", () => {
  flipped = new Set();
  find("bytes").querySelectorAll("span").forEach(dress);
  check();
});
find("bytes").addEventListener("click", (event) => {
  const cell = event.target.closest("span");
  if (cell) flip(cell);
});
find("bytes").addEventListener("keydown", (event) => {
  const cells = find("bytes").children, at = Number(event.target.dataset.at);
  const row = Array.from(cells).findIndex((cell) => cell.offsetTop > cells[0].offsetTop);
  const wide = row < 0 ? cells.length : row;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide }[event.key];
  if (event.key === "Enter" || event.key === " ") flip(event.target);
  else if (event.key === "Home") focusOn(cells[0]);
  else if (event.key === "End") focusOn(cells[cells.length - 1]);
  else if (step && cells[at + step]) focusOn(cells[at + step]);
  else if (!step) return;
  event.preventDefault();
});

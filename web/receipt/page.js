// The page: takes a receipt, runs the checker, shows every check, lets bytes be flipped.
"use strict";

// The largest that a node takes, and as much as is drawn: a real one has a few kilobytes.
const BYTES_MAX = 4 << 20, BYTES_SHOWN_MAX = 16 << 10;

const find = (id) => document.getElementById(id);
const checker = WebAssembly.compile(fromBase64(CHECKER));
let bytes = new Uint8Array(), flipped = new Set(), turn = 0;

function make(tag, text, look) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (look) element.className = look;
  return element;
}

function verdict(text, good, more = "") {
  find("verdict").textContent = text;
  find("verdict").className = good ? "good" : "bad";
  find("more").textContent = more;
}

// Nothing could be checked: nothing of an earlier receipt stays.
function refuse(what, hint) {
  turn += 1;
  find("result").hidden = true;
  verdict(`✗ ${what}`, false, `hint: ${hint}`);
}

async function check() {
  const mine = ++turn;
  find("result").ariaBusy = "true";
  find("restore").disabled = flipped.size === 0;
  const altered = bytes.map((byte, at) => (flipped.has(at) ? byte ^ 1 : byte));
  let report;
  try {
    report = JSON.parse(await runWasi(await checker, altered));
  } catch (error) {
    if (mine === turn) refuse(error.message, "this is a fault of the page; try another browser");
    return;
  }
  if (mine !== turn) return;
  const failed = report.checks.filter((one) => one.failure !== null).map((one) => one.statement);
  const hint = flipped.size > 0 ? "restore every byte" : "is it whole? it is the file `receipt` of a task's folder";
  if (report.ok) verdict("✓ The receipt holds.", true);
  else if (report.form) verdict(`✗ Refused: not a receipt (${report.form}).`, false, `hint: ${hint}`);
  else verdict(`✗ Refused: ${failed.length} of ${report.checks.length} checks fail.`, false, `Not so: ${failed.join("; ")}.`);
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
  find("result").hidden = false;
  find("result").ariaBusy = "false";
}

function draw() {
  const shown = bytes.subarray(0, BYTES_SHOWN_MAX);
  find("bytes-left").hidden = shown.length === bytes.length;
  find("bytes-left").textContent = `The first ${shown.length} of ${bytes.length} bytes; all were checked.`;
  const cells = Array.from(shown, (_, at) => {
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
  if (receipt.length === 0) return refuse("The file is empty.", "choose a task's `receipt`");
  if (receipt.length > BYTES_MAX) {
    return refuse("More than 4 MiB: no receipt is so long.", "choose a task's `receipt`, not its output");
  }
  bytes = receipt;
  flipped = new Set();
  draw();
  check();
}

function takeText(text) {
  let receipt;
  try {
    receipt = readReceipt(text);
  } catch (error) {
    return refuse(error.message, "paste a whole receipt, choose a task's `receipt`, or use an example");
  }
  take(receipt);
}

find("check").addEventListener("click", () => takeText(find("paste").value));
find("example").addEventListener("click", () => {
  find("paste").value = EXAMPLE;
  takeText(EXAMPLE);
});
find("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (!file) return;
  const mine = ++turn;
  let receipt;
  try {
    receipt = new Uint8Array(await file.slice(0, BYTES_MAX + 1).arrayBuffer());
  } catch (error) {
    return refuse(`Can't read \`${file.name}\`: ${error.message}`, "is it a file that you may read?");
  }
  // The same file can be chosen again, and something else may have been asked for since.
  event.target.value = "";
  if (mine === turn) take(receipt);
});
find("restore").addEventListener("click", () => {
  flipped = new Set();
  find("bytes").querySelectorAll("span").forEach(dress);
  // The button is about to be disabled: who came by keyboard stays near.
  find("bytes").querySelector('[tabindex="0"]').focus({ preventScroll: true });
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

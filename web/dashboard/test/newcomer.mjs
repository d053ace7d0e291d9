// What somebody who has never seen a command does with nothing but the pages: submits an example,
// watches it, checks a receipt, and stops the machine that works for it.
import { join } from "node:path";
import { ok } from "node:assert";
import { PATIENCE_MS, keep, open, readsWell } from "./browser.mjs";

/** The part of a node's id that the pages show. */
const short = (id) => id.slice(-10);

/** Whether a task is no more with a provider that rests, and did not come from it. */
async function handedBack(net, job, task, provider) {
  for (;;) {
    const row = (await net.tasks(job)).find((one) => one.task === task);
    if (row === undefined || row.state === "delivered" || row.state === "accepted") return row !== undefined && row.provider !== provider;
    if (row.provider !== provider) return true;
  }
}

export async function newcomer(browser, net, pictures) {
  // One browser, two nodes: the sessions do not disturb each other.
  const mine = await open(browser);
  const theirs = { ...mine, page: await mine.context.newPage() };
  theirs.page.setDefaultTimeout(PATIENCE_MS);
  await mine.page.goto(await net.link("requester"));
  await theirs.page.goto(await net.link("provider-1"));
  const { node: provider } = await net.command("provider-1", "id");

  // Home leads to a new job, an example says what it asks.
  const { page } = mine;
  await page.getByRole("link", { name: "New job" }).first().click();
  await page.getByRole("button", { name: /nbody/ }).click();
  await page.getByLabel("Name").fill("my first job");
  await page.getByLabel("Up to, not included").fill("40000000");
  await page.getByLabel("Numbers a task").fill("5000000");
  await page.getByText("makes 8 tasks").waitFor();
  await page.getByRole("button", { name: "Check and price" }).click();
  await page.getByText("it runs", { exact: false }).first().waitFor();
  await readsWell(page, "a checked job");
  await keep(page, join(pictures, "quote-en-light-1440.png"));
  await page.getByRole("button", { name: "Submit" }).click();
  await page.locator("h1", { hasText: "my first job" }).waitFor();

  // A provider's owner wants the machine for an hour while it works for that job: its tasks go to
  // somebody else.
  const address = new URL(page.url()).hash;
  const machine = theirs.page;
  await machine.getByRole("link", { name: "My machine" }).first().click();
  const running = machine.getByRole("region", { name: "Running now" }).locator("a").last();
  let taken = null;
  while (taken === null) {
    const task = await running.getAttribute("title");
    await machine.getByLabel("For how long").selectOption({ label: "1 hour" });
    await machine.getByText("ayni pause 1h", { exact: true }).waitFor();
    await machine.getByRole("button", { name: "Pause", exact: true }).click();
    await machine.getByText("paused by its owner").waitFor();
    await machine.getByText("Nothing runs for others.").waitFor();
    // What had ended before the click is not handed back: then the next one is taken.
    if (await handedBack(net, address.split("/").pop(), task, provider)) taken = task;
    else await machine.getByRole("button", { name: "Resume", exact: true }).click();
  }
  await machine.getByText(/^until \d/).waitFor();
  const { until_ms: until } = (await net.command("provider-1", "status")).provider.rests[0];
  ok(until > Date.now() && until <= Date.now() + 3_600_000, `paused for an hour, it says until ${new Date(until)}`);
  await readsWell(machine, "a paused machine");
  await keep(machine, join(pictures, "paused-en-light-1440.png"));
  await page.getByRole("button", { name: "by provider" }).click();
  await keep(page, join(pictures, "running-en-light-1440.png"));

  // It ends nevertheless, seen without a reload, and the task taken from it has come from elsewhere.
  await page.locator("h1 + p .tag.ended").waitFor({ timeout: 2 * PATIENCE_MS });
  await page.getByText("8 / 8").first().waitFor();
  ok((await machine.getByText("paused by its owner").count()) === 1, "the provider rests until the end");
  // The explorer asks whether the id is one of bytes, too.
  mine.expected.add(`404 /v1/blobs/${taken}`);
  await page.getByRole("searchbox").first().fill(taken);
  await page.keyboard.press("Enter");
  const found = page.getByRole("region", { name: /Task \d+ · my first job/ });
  await found.getByText("accepted").waitFor();
  const by = await found.locator("dd a").nth(1).getAttribute("title");
  ok(by !== provider, `the task that ${short(provider)} handed back was still accepted from it`);

  // A receipt of it: checked, executed again, kept, and good for the command line as well.
  await found.getByRole("link", { name: taken }).click();
  const task = page.getByRole("region", { name: /^Task \d+$/ });
  await task.getByText("✓ it holds").waitFor();
  await task.getByRole("button", { name: "Execute the task again here" }).click();
  await task.getByText("✓ the task was executed again here").waitFor();
  await task.getByText("✓ it holds").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), task.getByRole("button", { name: "Save the receipt" }).click()]);
  const saved = join(net.folder, "receipt");
  await download.saveAs(saved);
  const report = await net.command("requester", "verify", saved);
  ok(report.ok, JSON.stringify(report));
  await page.getByRole("button", { name: /^Check all/ }).click();
  await page.getByText(/✓ (\d+) of \1 hold/).waitFor();

  // The machine takes work again; the same job costs nothing a second time.
  await machine.getByRole("button", { name: "Resume", exact: true }).click();
  await machine.getByText("takes work").waitFor();
  await page.getByRole("button", { name: "Run again" }).click();
  await page.waitForURL((url) => !address.startsWith(url.hash.split("?")[0]) && url.hash.startsWith("#/jobs/"));
  await page.getByText("8 held before").waitFor();
  ok(mine.noise.length === 0, [...new Set(mine.noise)].join("; "));
  await mine.context.close();
  return "a newcomer submitted a job, stopped a provider, saw its task come from another, and checked the receipts";
}

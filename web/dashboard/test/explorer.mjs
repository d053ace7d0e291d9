// The public explorer's page, by somebody without a login: finds what is public by its id, has a
// receipt checked, and asks nobody but the explorer.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { deepStrictEqual as same, ok } from "node:assert";
import { focus, open, readsWell } from "./browser.mjs";

/** Starts `ayni explorer` beside a node; answers its address and how it is stopped. */
async function start(ayni, home) {
  const process = spawn(ayni, ["--home", home, "--json", "explorer", "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(process, "exit");
  const { value, done } = await createInterface({ input: process.stdout })[Symbol.asyncIterator]().next();
  if (done) throw new Error("the explorer did not start");
  const stop = () => {
    process.kill("SIGTERM");
    return ended;
  };
  return { url: `http://${JSON.parse(value).listen}`, stop };
}

export async function explorer(browser, net, ayni, job, pictures) {
  const { node: provider } = await net.command("provider-1", "id");
  const { channels } = await net.command("requester", "channel", "list");
  const { disputes } = await net.command("requester", "dispute", "list");
  const folder = join(net.folder, "explored");
  await net.command("requester", "job", "fetch", job, "-o", folder);
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith("receipt"));
  const receipt = readFileSync(join(folder, files[0]));
  const { url, stop } = await start(ayni, net.nodes.requester.home);
  try {
    const { page, noise, context, expected, quiet } = await open(browser);
    page.on("request", (request) => {
      if (!request.url().startsWith(`${url}/`) && !request.url().startsWith("blob:")) noise.push(`it asked ${request.url()}`);
    });
    await page.goto(url);
    await page.locator("tbody tr").first().waitFor();
    await readsWell(page, "the explorer");

    // By the keyboard: a provider by the end of its id.
    await page.keyboard.press("/");
    await focus(page);
    await page.keyboard.type(provider.slice(-10));
    await page.keyboard.press("Enter");
    const region = (name) => page.getByRole("region", { name, exact: true });
    await region("Provider").getByText(provider).waitFor();
    await readsWell(page, "a provider");
    await page.screenshot({ path: join(pictures, "public-en-light-1440.png"), fullPage: true });
    const look = async (id) => {
      await page.getByRole("searchbox").fill(id);
      await page.keyboard.press("Enter");
    };
    await look(channels[0].id);
    await region("Channel").getByText(channels[0].payee).waitFor();
    for (const { id, task } of disputes.slice(0, 1)) {
      await look(String(id));
      await region(`Dispute ${id}`).getByText(task).waitFor();
    }
    const nothing = "0".repeat(64);
    expected.add(`404 /v1/channels/${nothing}`);
    await look(nothing);
    await page.getByRole("alert").getByText("is known here").waitFor();
    same(quiet.length, 1);

    // A receipt is chosen; one with a byte changed is dropped.
    await page.getByLabel("Receipt file").setInputFiles({ name: "receipt", mimeType: "", buffer: receipt });
    await page.getByText("✓ it holds").waitFor();
    receipt[receipt.length >> 1] ^= 1;
    const transfer = await page.evaluateHandle((bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(bytes)], "receipt"));
      return data;
    }, [...receipt]);
    await page.dispatchEvent("main", "drop", { dataTransfer: transfer });
    await page.getByText("✗ it does not hold").waitFor();

    // On a phone, in Chinese, in the dark.
    await page.setViewportSize({ width: 390, height: 844 });
    await page.getByRole("button", { name: "中文" }).click();
    await page.locator("header select").selectOption("dark");
    await look(provider);
    await region("提供者").getByText(provider).waitFor();
    await readsWell(page, "the explorer on a phone");
    await page.screenshot({ path: join(pictures, "public-zh-dark-390.png"), fullPage: true });
    const text = await page.content();
    ok(!text.includes(net.nodes.requester.home) && !text.includes(job), "the page names what is private");
    same(noise, []);
    same((await context.cookies()).length, 0);
    await context.close();
  } finally {
    await stop();
  }
  return `anybody found a provider, a channel${disputes.length > 0 ? ", a dispute" : ""} and checked receipts in the public explorer`;
}

// Every page, wide and narrow, light and dark, in both languages: looked at, kept as a picture.
import { join } from "node:path";
import { deepStrictEqual as same, ok } from "node:assert";
import { focus, open, readsWell } from "./browser.mjs";

/** Each width, each theme, each language. */
const LOOKS = [[1440, 900], [390, 844]].flatMap(([width, height]) =>
  ["light", "dark"].flatMap((theme) => ["en", "zh"].map((language) => ({ language, theme, width, height }))));
/** So many browsers look at once. */
const LANES = 2;

const HEADS = {
  en: { home: "Home", jobs: "Jobs", new: "New job", market: "Market", machine: "My machine", network: "Network", wallet: "Wallet", explorer: "Explorer", health: "Health", developer: "Developer" },
  zh: { home: "首页", jobs: "作业", new: "新建作业", market: "市场", machine: "我的机器", network: "网络", wallet: "钱包", explorer: "浏览", health: "健康", developer: "开发者" },
};

/** Pages of a node by name: the address, and what must be there before it is judged. */
function pages(job, provider) {
  return [
    ["home", "#/", ".figure"],
    ["jobs", "#/jobs?sort=-created", "tbody tr"],
    ["job", `#/jobs/${job}`, "canvas"],
    ["task", `#/jobs/${job}?task=0&by=provider`, ".steps li"],
    ["new", "#/new?example=nbody", ".card"],
    ["market", "#/market?sort=price", "tbody tr"],
    ["network", "#/network", "tbody tr"],
    ["wallet", "#/wallet", "tbody tr"],
    ["explorer", `#/explorer/${provider}`, "dl"],
    ["health", "#/health", "li"],
    ["developer", "#/developer", ".method"],
  ];
}

/** Nothing is said to who is not logged in, and a link works once. */
export async function login(browser, net, job, pictures) {
  const { page, noise, context } = await open(browser);
  const api = `http://${net.nodes.requester.api}`;
  await page.goto(`${api}/`);
  await page.getByText("ayni open", { exact: true }).waitFor();
  await readsWell(page, "login");
  await page.screenshot({ path: join(pictures, "login-en-light-1440.png") });
  const text = await page.locator("body").innerText();
  ok(!text.includes("did:key") && !text.includes("127.0.0.1"), "the page without a login names the node");
  same(await page.evaluate(() => performance.getEntriesByType("resource").filter((one) => one.name.includes("/v1/")).length), 0, "it asks the API");
  const link = await net.link("requester", job.slice(0, 10));
  await page.goto(link);
  await page.locator("h1", { hasText: "solar system" }).waitFor();
  ok(!page.url().includes("login"), "the code stays in the address");
  const cookies = await context.cookies();
  ok(cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === "Strict", "the cookie is as it should be");
  const second = await open(browser);
  second.expected.add("401 /v1/session");
  await second.page.goto(link);
  await second.page.getByRole("alert").getByText("used or too old").waitFor();
  same(second.quiet.length, 1);
  // Reload keeps the session, logging out ends it.
  await page.reload();
  await page.locator("h1", { hasText: "solar system" }).waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByText("ayni open", { exact: true }).waitFor();
  same(noise, []);
  same(second.noise, []);
  await Promise.all([context.close(), second.context.close()]);
}

/** A logged-in page of a node. */
export async function enter(browser, net, name, options) {
  const tab = await open(browser, options);
  // Figures that a node without an account can't have.
  await tab.page.goto(await net.link(name));
  await tab.page.locator("h1", { hasText: /Home|首页/ }).waitFor();
  return tab;
}

/** Every command that a page names is one, with the options that it names. */
async function understood(net, twins) {
  const helps = new Map();
  for (const twin of twins) {
    const [name, ...rest] = twin.split(" -- ")[0].split(/\s+/);
    ok(name === "ayni", twin);
    const end = rest.findIndex((word) => !/^[a-z]+$/.test(word) || word === "last");
    const verbs = end < 0 ? rest : rest.slice(0, end);
    const key = verbs.join(" ");
    if (!helps.has(key)) helps.set(key, await net.help(...verbs));
    for (const [option] of twin.split(" -- ")[0].matchAll(/(?<= )--?[a-z-]+/g)) {
      ok(helps.get(key).includes(`${option} `) || helps.get(key).includes(`${option},`) || helps.get(key).includes(`${option}\n`), `\`${twin}\`: there is no ${option}`);
    }
  }
}

/** A limit that can't be: the node's word stands at its field, and nothing has changed. */
async function wrongLimit({ page, expected, quiet }) {
  const field = page.locator('input[id$="-others_cpu_percent"]');
  await field.fill("120");
  expected.add("400 /v1/provider/limits");
  const before = quiet.length;
  await page.locator("form button.main").click();
  await page.getByRole("alert").getByText("others_cpu_percent = `120`: a percentage, at most 100").waitFor();
  same(quiet.length, before + 1);
  same(await field.getAttribute("aria-invalid"), "true");
  same(await page.locator("[aria-invalid=true]").count(), 1);
}

export async function walk(browser, net, job, pictures) {
  const { node } = await net.command("provider-1", "id");
  let seen = 0;
  const twins = new Set();
  async function look({ language, theme, width, height }, tabs) {
    for (const [tab, list] of [[tabs.requester, pages(job, node)], [tabs.provider, [["machine", "#/machine", "form input"]]]]) {
      const { page } = tab;
      await page.setViewportSize({ width, height });
      const origin = new URL(page.url()).origin;
      await page.evaluate(([language, theme]) => {
        localStorage.setItem("ayni.language", language);
        localStorage.setItem("ayni.theme", theme);
      }, [language, theme]);
      await page.reload();
      for (const [name, address, there] of list) {
        const where = `${name}-${language}-${theme}-${width}`;
        await page.goto(`${origin}/${address}`);
        const head = HEADS[language][name];
        if (head) await page.locator("main h1").getByText(head, { exact: true }).waitFor();
        await page.locator("main").locator(there).first().waitFor();
        const judge = async (where) => {
          await readsWell(page, where);
          await page.screenshot({ path: join(pictures, `${where}.png`), fullPage: width > 400 || name === "machine" });
          seen += 1;
          for (const twin of await page.locator(".twin code").allInnerTexts()) twins.add(twin);
        };
        await judge(where);
        if (name !== "machine") continue;
        await page.locator("select").last().selectOption("tomorrow");
        await wrongLimit(tab);
        await judge(`limit-${language}-${theme}-${width}`);
      }
    }
  }
  const left = [...LOOKS];
  async function lane(tabs) {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await look(next, tabs);
    for (const tab of [tabs.requester, tabs.provider]) {
      ok(tab.noise.length === 0, [...new Set(tab.noise)].join("; "));
      await tab.context.close();
    }
  }
  await Promise.all(Array.from({ length: LANES }, async () => lane({ requester: await enter(browser, net, "requester"), provider: await enter(browser, net, "provider-1") })));
  same((await net.command("provider-1", "limits")).others_cpu_percent ?? null, null);
  await understood(net, twins);
  return { seen, twins: twins.size };
}

/** How soon a logged-in reader whose browser has nothing of the page yet sees something, and then
 *  the figures: medians, in milliseconds. */
export async function paints(browser, net) {
  const known = await enter(browser, net, "requester");
  const origin = new URL(known.page.url()).origin;
  const storageState = await known.context.storageState();
  await known.context.close();
  const times = { paint: [], figures: [] };
  for (let round = 0; round < 7; round++) {
    const { page, context, noise } = await open(browser, { storageState });
    await page.goto(`${origin}/`);
    await page.locator("main .figure").first().waitFor();
    const [paint, figures] = await page.evaluate(() => [performance.getEntriesByName("first-contentful-paint")[0].startTime, performance.now()]);
    times.paint.push(paint);
    times.figures.push(figures);
    same(noise, []);
    await context.close();
  }
  const middle = (all) => Math.round(all.sort((a, b) => a - b)[Math.floor(all.length / 2)]);
  return { paint: middle(times.paint), figures: middle(times.figures) };
}

/** A proposal on the Wallet page, voted on there. */
export async function votes(browser, net, pictures) {
  const { account } = await net.command("requester", "wallet", "show");
  await net.command("ledger", "gov", "delegate", account);
  net.ahead(1);
  const { id } = await net.command("ledger", "gov", "propose", "--why", "<b>Stake</b> leaves sooner", "--set", "registry.unstake_s=86_400");
  const tab = await enter(browser, net, "requester");
  const { page, noise, context } = tab;
  page.on("dialog", (dialog) => dialog.accept());
  const panel = page.getByRole("region", { name: "Votes on parameters" });
  await page.goto(`${new URL(page.url()).origin}/#/wallet`);
  // Strangers' words stay words.
  await panel.getByText("<b>Stake</b> leaves sooner", { exact: true }).waitFor();
  await panel.getByText("not open yet").waitFor();
  net.ahead(62);
  await page.reload();
  await panel.getByText("This account votes with 1,000,000.").waitFor();
  await readsWell(page, "votes");
  await panel.screenshot({ path: join(pictures, "votes-en-light-1440.png") });
  await panel.getByRole("button", { name: "For" }).click();
  await panel.getByText("This account has voted.").waitFor();
  await panel.getByText("1,000,000 for, 0 against, 0 abstained").waitFor();
  const { proposals } = await net.command("ledger", "gov", "list");
  same(proposals.find((one) => one.id === id).for, String(10n ** 24n));
  same(noise, []);
  await context.close();
}

/** The pages without a mouse. */
export async function keyboard(browser, net) {
  const { page, noise, context } = await enter(browser, net, "requester");
  const press = async (key) => {
    await page.keyboard.press(key);
    return focus(page);
  };
  await page.evaluate(() => document.activeElement.blur());
  same(await press("Tab"), "Skip to the content");
  await press("Enter");
  same(await page.evaluate(() => document.activeElement.tagName), "MAIN");
  await press("/");
  same(await page.evaluate(() => document.activeElement.type), "search");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await readsWell(page, "help");
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("j");
  await page.locator("h1", { hasText: "Jobs" }).waitFor();
  // Each thing that can be reached is seen when it is, and all of a page is reached.
  await page.locator("tbody tr").first().waitFor();
  await page.evaluate(() => document.activeElement.blur());
  const names = new Set();
  for (let step = 0; step < 60; step++) names.add(await press("Tab"));
  for (const wanted of ["Home", "Developer", "New job", "Name", "primes"]) {
    ok([...names].some((name) => name.startsWith(wanted)), `no Tab leads to ${wanted}: ${[...names].join(", ")}`);
  }
  // Tasks are chosen by arrow keys.
  await page.getByRole("link", { name: "primes", exact: true }).first().click();
  await page.getByRole("slider").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.getByRole("region", { name: "Task 1", exact: true }).waitFor();
  ok(page.url().includes("task=1"), page.url());
  ok(noise.length === 0, noise.join("; "));
  await context.close();
}

/** The owner's limits without a mouse: a wrong one, a right one, and back to the settings. */
export async function limits(browser, net) {
  const owner = "provider-2";
  const tab = await enter(browser, net, owner);
  const { page, noise, context, expected, quiet } = tab;
  page.on("dialog", (dialog) => dialog.accept());
  await page.goto(`${new URL(page.url()).origin}/#/machine`);
  await page.locator("form input").first().waitFor();
  const reach = async (wanted, key = "Tab") => {
    const met = [];
    while (!met.at(-1)?.startsWith(wanted)) {
      ok(met.length < 80, `no ${key} leads to ${wanted}: ${met.join(", ")}`);
      await page.keyboard.press(key);
      met.push(await focus(page));
    }
  };
  const inForce = async () => (await net.command(owner, "limits")).transfer_per_day_bytes ?? null;
  same(await inForce(), null);
  await reach("Rest above, °C");
  await page.keyboard.type("7");
  expected.add("400 /v1/provider/limits");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("temperature_max = `7`: between 30 and 150 °C").waitFor();
  same(quiet.length, 1);
  // The focus is where the error is.
  await page.locator("[aria-invalid=true]:focus").waitFor();
  await page.keyboard.press("Backspace");
  await reach("Transfer a day");
  await page.keyboard.type("900GiB");
  await page.getByText("ayni limits set --transfer 900GiB", { exact: true }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("Set, and obeyed.").waitFor();
  same(await inForce(), 900 * 2 ** 30);
  await reach("Back to the settings");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector('input[id$="-transfer_per_day_bytes"]').value === "");
  same(await inForce(), null);
  same(noise, []);
  await context.close();
}

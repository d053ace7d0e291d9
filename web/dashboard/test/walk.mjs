// Every page, wide and narrow, light and dark, in both languages: looked at, kept as a picture.
import { join } from "node:path";
import { deepStrictEqual as same, ok } from "node:assert";
import { focus, open, readsWell } from "./browser.mjs";

export const LOOKS = ["en", "zh"].flatMap((language) =>
  ["light", "dark"].flatMap((theme) => [[1440, 900], [390, 844]].map(([width, height]) => ({ language, theme, width, height }))));

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

export async function walk(browser, net, job, pictures) {
  const requester = await enter(browser, net, "requester");
  const provider = await enter(browser, net, "provider-1");
  const { node } = await net.command("provider-1", "id");
  const paint = await requester.page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN);
  let seen = 0;
  const twins = new Set();
  for (const { language, theme, width, height } of LOOKS) {
    for (const [tab, list] of [[requester, pages(job, node)], [provider, [["machine", "#/machine", "canvas"]]]]) {
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
        await readsWell(page, where);
        await page.screenshot({ path: join(pictures, `${where}.png`), fullPage: width > 400 });
        seen += 1;
        for (const twin of await page.locator(".twin code").allInnerTexts()) twins.add(twin);
      }
    }
  }
  for (const tab of [requester, provider]) {
    ok(tab.noise.length === 0, [...new Set(tab.noise)].join("; "));
    await tab.context.close();
  }
  await understood(net, twins);
  return { seen, paint, twins: twins.size };
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

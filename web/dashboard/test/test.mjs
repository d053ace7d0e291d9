// The dashboard in a real Chromium, against a network of real processes with real jobs.
// `node web/dashboard/test/test.mjs AYNI CHROMIUM PICTURES [STEP…]`, after `npm ci` beside this folder.
import { mkdirSync } from "node:fs";
import { launch, remains } from "./browser.mjs";
import { explorer } from "./explorer.mjs";
import { network } from "./network.mjs";
import { newcomer } from "./newcomer.mjs";
import { keyboard, limits, login, paints, votes, walk } from "./walk.mjs";

const [ayni, chromium, pictures, ...only] = process.argv.slice(2);
const wanted = (part) => only.length === 0 || only.includes(part);
mkdirSync(pictures, { recursive: true });
const told = [];
let net, browser;
try {
  [net, browser] = await Promise.all([network(ayni), launch(chromium)]);
  const page = await (await fetch(`http://${net.nodes.requester.api}/`)).text();
  if (!page.includes("/assets/")) throw new Error(`the executable has no dashboard in it: ${page}`);
  const began = Date.now();
  const step = (what) => told.push(`${what}, after ${Math.round((Date.now() - began) / 1_000)} s`);
  // Short tasks: what runs for others has the lowest priority, and waits wherever something else runs.
  // One is audited as a whole, so that whoever lies is found out before it matters.
  const [id] = await Promise.all([
    net.job("solar system", "nbody", 24, 10_000, ["--audit", "0.5"]),
    net.job("primes", "sieve", 12, 1, ["--audit", "1"]),
  ]);
  step("two jobs ended");
  // None of these changes what another one looks at.
  await Promise.all([
    wanted("walk") && walk(browser, net, id, pictures).then(({ seen, twins }) => step(`${seen} views read well, and name ${twins} commands`)),
    (async () => {
      if (wanted("login")) {
        await login(browser, net, id, pictures);
        step("a link logs one browser in, and nobody else is told anything");
      }
      if (wanted("keyboard")) {
        await keyboard(browser, net);
        await limits(browser, net);
        step("the keyboard is enough");
      }
    })(),
  ]);
  if (wanted("explorer")) step(await explorer(browser, net, ayni, id, pictures));
  if (wanted("newcomer")) step(await newcomer(browser, net, pictures));
  if (wanted("votes")) {
    await votes(browser, net, pictures);
    step("a proposal is voted on");
  }
  if (wanted("paint")) {
    const { paint, figures } = await paints(browser, net);
    told.push(`first paint after ${paint} ms, figures after ${figures} ms`);
  }
  console.log(`${told.join("; ")}; in Chromium ${browser.version()}`);
} catch (error) {
  console.error(`error: ${error.stack}\n${told.map((one) => `  ${one}`).join("\n")}\npages, pictures of which are in ${pictures}:\n${await remains(pictures)}`);
  process.exitCode = 1;
} finally {
  await browser?.close();
  await net?.stop();
}

#!/usr/bin/env node
// What a task's payment costs: ours beside others, on one local chain, in gas and in dollars.
// `forge build` first; `node gas/compare/main.mjs [--gas-price GWEI] …` prints tables in Markdown.
// Deliberately not here: what is measured, and how (`ayni`, `livepeer`, `iexec`).

import { parseArgs } from 'node:util';
import { Chain } from './chain.mjs';
import { channelsOf, escrowOf, exactOf } from './ayni.mjs';
import { iexecOf } from './iexec.mjs';
import { livepeerOf } from './livepeer.mjs';

const PROVIDERS = 100;
const TASKS = [1, 100, 10_000];
/** What a task of ours may cost at the last of them. */
const BAR = 750n;
/** Signature, nonce, fees and address of a transaction, beside its calldata. */
const ENVELOPE_BYTES = 110;

const { values: options } = parseArgs({
  options: {
    ether: { type: 'string', default: '3000' },
    'gas-price': { type: 'string', default: '1' },
    'rollup-gas-price': { type: 'string', default: '0.01' },
    'rollup-byte-price': { type: 'string', default: '0.1' },
  },
});
const prices = Object.fromEntries(
  Object.entries(options).map(([name, text]) => {
    const number = Number(text);
    if (!(number >= 0)) throw new Error(`--${name} ${text} is no price\nhint: such as --${name} 1`);
    return [name, number];
  }),
);

/** Every scheme gets a chain of its own, so that none pays for the state of another. */
async function measured(scheme) {
  const chain = await Chain.start();
  try {
    return await scheme(chain, PROVIDERS);
  } finally {
    chain.stop();
  }
}

const line = (cells) => console.log(`| ${cells.join(' | ')} |`);
const gas = (value) => value.toLocaleString('en-US');

function table(title, rows, cell) {
  line([title, ...TASKS.map((tasks) => `${tasks.toLocaleString('en-US')} tasks`)]);
  line(['---', ...TASKS.map(() => '---')]);
  for (const [name, cost] of rows) line([name, ...TASKS.map((tasks) => cell(cost(tasks), tasks))]);
  console.log();
}

function dollars(cost, gasPrice, bytePrice) {
  const bytes = cost.bytes + ENVELOPE_BYTES * cost.count;
  return (Number(cost.gas) * gasPrice + bytes * bytePrice) * 1e-9 * prices.ether;
}

const perTask = (gasPrice, bytePrice) => (cost, tasks) =>
  `$${(dollars(cost, gasPrice, bytePrice) / tasks).toPrecision(3)}`;

const ours = await measured(channelsOf);
const livepeer = await measured(livepeerOf);
const iexec = await measured(iexecOf);
const rows = [
  ['channels (`openMany`, relayed `claimAndSettle`)', ours.whole],
  ['escrow for each task', await measured(escrowOf)],
  ['x402 `exact` for each task', await measured(exactOf)],
  ['Livepeer, one winning ticket a provider', livepeer.single],
  ['Livepeer, the same redeemed together', livepeer.batched],
  ['iExec, contribute, reveal, finalize', iexec.whole],
  ['iExec, contributeAndFinalize', iexec.shortest],
];

table('gas per task at', rows, (cost, tasks) => gas(cost.gas / BigInt(tasks)));
const [l1, rollup, byte] = ['gas-price', 'rollup-gas-price', 'rollup-byte-price'];
table(`ether at $${prices.ether}, gas at ${prices[l1]} gwei`, rows, perTask(prices[l1], 0));
table(
  `rollup: gas at ${prices[rollup]} gwei, data at ${prices[byte]} gwei a byte`,
  rows,
  perTask(prices[rollup], prices[byte]),
);
line(['our steps', 'gas', `$ at ${prices[l1]} gwei`, '$ on the rollup']);
line(['---', '---', '---', '---']);
for (const [name, cost, over] of [
  ['open one channel', ours.one.opened, 1],
  ['open 100 at once, each', ours.all.opened, PROVIDERS],
  ['claim and pay one voucher', ours.one.claimed, 1],
  ['claim and pay 100 at once, each', ours.all.claimed, PROVIDERS],
]) {
  const paid = (gasPrice, bytePrice) => dollars(cost, gasPrice, bytePrice) / over;
  const [there, rolled] = [paid(prices[l1], 0), paid(prices[rollup], prices[byte])];
  const each = cost.gas / BigInt(over);
  line([name, gas(each), there.toPrecision(3), rolled.toPrecision(3)]);
}

const last = TASKS.at(-1);
const reached = ours.whole(last).gas / BigInt(last);
if (reached > BAR) {
  console.error(`${reached} gas per task at ${last} tasks; it may be ${BAR}`);
  process.exitCode = 1;
}

#!/usr/bin/env node
// Writes crates/chain/artifacts: what the chain crate needs of each contract, so that `cargo build`
// needs neither forge nor node. Run `forge build` first. With `--check`: writes nothing and fails
// if a committed file differs from what the sources give.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, '../out');
const folder = join(here, '../../crates/chain/artifacts');

// The name of the file, and where the compiler puts the contract.
const CONTRACTS = {
  AyniToken: 'AyniToken.sol/AyniToken.json',
  Channels: 'Channels.sol/Channels.json',
  Disputes: 'Disputes.sol/Disputes.json',
  Governor: 'AyniGovernor.sol/AyniGovernor.json',
  Registry: 'Registry.sol/Registry.json',
  Timelock: 'Timelock.sol/Timelock.json',
  VoteToken: 'VoteToken.sol/VoteToken.json',
};

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

/** Entries by kind, name and the types of inputs: the compiler's order is not promised. */
function sortedAbi(abi) {
  const key = (entry) =>
    [entry.type, entry.name ?? '', (entry.inputs ?? []).map((input) => input.type).join()].join(' ');
  return [...abi].sort((a, b) => (key(a) < key(b) ? -1 : 1)).map(sorted);
}

function artifact(name, path) {
  let built;
  try {
    built = JSON.parse(readFileSync(join(out, path), 'utf8'));
  } catch (error) {
    throw new Error(`can't read the build of ${name} (${error.message})\nhint: forge build`);
  }
  for (const code of [built.bytecode, built.deployedBytecode]) {
    if (Object.keys(code.linkReferences).length > 0) throw new Error(`${name} has unlinked libraries`);
  }
  const size = (built.deployedBytecode.object.length - 2) / 2;
  if (size > 24_576) throw new Error(`${name} has ${size} bytes of code; a chain takes 24,576`);
  const made = {
    contractName: name,
    abi: sortedAbi(built.abi),
    bytecode: { object: built.bytecode.object },
    deployedBytecode: { object: built.deployedBytecode.object },
  };
  return { text: `${JSON.stringify(made, null, 1)}\n`, size };
}

const check = process.argv.includes('--check');
const stale = [];
mkdirSync(folder, { recursive: true });
const known = new Set();
process.on('uncaughtException', (error) => {
  console.error(`error: ${error.message}`);
  process.exit(1);
});
for (const [name, path] of Object.entries(CONTRACTS)) {
  const file = `${name}.json`;
  known.add(file);
  const { text, size } = artifact(name, path);
  if (!check) {
    writeFileSync(join(folder, file), text);
    console.log(`${file}: ${size} bytes of code`);
    continue;
  }
  let committed = '';
  try {
    committed = readFileSync(join(folder, file), 'utf8');
  } catch {
    // Missing is stale.
  }
  if (committed !== text) stale.push(file);
}
for (const file of readdirSync(folder)) {
  if (known.has(file)) continue;
  if (check) stale.push(`${file} (of no contract)`);
  else rmSync(join(folder, file));
}
if (stale.length > 0) {
  console.error(`error: out of date in crates/chain/artifacts: ${stale.join(', ')}`);
  console.error('hint: cargo xtask contracts');
  process.exit(1);
}

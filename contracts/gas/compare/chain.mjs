// A node of its own for one comparison: starts anvil, sends transactions, adds up what they cost.
// Every scheme is measured on it alike, as whole transactions under the rules of Prague.
// Deliberately not here: what is measured (`ayni`, `livepeer`, `iexec`).

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  createPublicClient,
  decodeFunctionResult,
  encodeDeployData,
  encodeFunctionData,
  http,
  keccak256,
  toBytes,
  toHex,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';

const here = dirname(fileURLToPath(import.meta.url));
/** The folder with `package.json`. */
export const contracts = join(here, '../..');
const GAS_LIMIT = 60_000_000n;

/** An account for a name. Anvil sends for it; the key is for what is signed off the chain. */
export function account(name) {
  return privateKeyToAccount(keccak256(toBytes(name)));
}

/** What forge compiled. */
export function built(name) {
  const file = join(contracts, 'out', `${name}.sol`, `${name}.json`);
  const { abi, bytecode } = JSON.parse(readFileSync(file, 'utf8'));
  return { abi, bytecode: bytecode.object };
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** What some transactions cost: gas, and bytes of calldata. */
export class Cost {
  constructor(gas = 0n, bytes = 0, count = 0) {
    Object.assign(this, { gas, bytes, count });
  }

  plus(other, times = 1) {
    const n = BigInt(times);
    return new Cost(
      this.gas + other.gas * n,
      this.bytes + other.bytes * times,
      this.count + other.count * times,
    );
  }
}

export const sum = (costs) => costs.reduce((all, one) => all.plus(one), new Cost());

export class Chain {
  static async start() {
    const port = await freePort();
    const args = ['--host', '127.0.0.1', '--port', `${port}`, '--hardfork', 'prague', '--silent'];
    args.push('--gas-limit', `${GAS_LIMIT}`, '--timestamp', '1767225600');
    // Empty blocks are many here, and nobody asks about old ones.
    args.push('--prune-history', '300');
    const child = spawn(join(contracts, 'node_modules/.bin/anvil'), args, { stdio: 'ignore' });
    const client = createPublicClient({ transport: http(`http://127.0.0.1:${port}`, { timeout: 60_000 }) });
    for (let tries = 0; ; ++tries) {
      try {
        await client.getChainId();
        break;
      } catch (error) {
        if (child.exitCode !== null || tries > 200) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    const chain = new Chain();
    Object.assign(chain, { child, client, chainId: await client.getChainId(), funded: new Set() });
    await chain.ask('anvil_autoImpersonateAccount', [true]);
    return chain;
  }

  stop() {
    this.child.kill();
  }

  ask(method, params = []) {
    return this.client.request({ method, params });
  }

  /** Sends one transaction; a revert is an error. */
  async transact(from, to, data, value = 0n) {
    if (!this.funded.has(from)) {
      await this.ask('anvil_setBalance', [from, toHex(10n ** 24n)]);
      this.funded.add(from);
    }
    const request = { from, data, value: toHex(value), gas: toHex(GAS_LIMIT / 2n) };
    const hash = await this.ask('eth_sendTransaction', [to ? { ...request, to } : request]);
    let receipt = null;
    while (receipt === null) receipt = await this.ask('eth_getTransactionReceipt', [hash]);
    if (receipt.status !== '0x1') {
      let why = '';
      await this.ask('eth_call', [{ ...request, to }, 'latest']).catch((e) => (why = e.message));
      throw new Error(`a transaction to ${to} failed: ${why}`);
    }
    const cost = new Cost(BigInt(receipt.gasUsed), (data.length - 2) / 2, 1);
    return { cost, created: receipt.contractAddress };
  }

  /** Puts a contract on the chain; the object that comes back sends to it. */
  async deploy(from, { abi, bytecode }, args = []) {
    const data = encodeDeployData({ abi, bytecode, args });
    const { created } = await this.transact(from, null, data);
    return this.at(created, abi);
  }

  at(address, abi) {
    const encode = (functionName, args) => encodeFunctionData({ abi, functionName, args });
    return {
      address,
      abi,
      send: async (from, name, args = [], value = 0n) =>
        (await this.transact(from, address, encode(name, args), value)).cost,
      read: async (functionName, args = [], from = undefined) => {
        const { data } = await this.client.call({
          to: address,
          data: encode(functionName, args),
          account: from,
        });
        return decodeFunctionResult({ abi, functionName, args, data });
      },
    };
  }

  async mine(blocks) {
    for (let left = blocks; left > 0n; left -= 50n) await this.ask('anvil_mine', [toHex(50)]);
  }
}

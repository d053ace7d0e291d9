// iExec's PoCo: a deal of many tasks, and each task's life on the chain.
// The diamond as published, with every facet that a deal needs; token and category are ours. One
// worker a task (trust 1), results of 32 bytes, one deal for all tasks: the least it can do.
// Deliberately not here: its boost facet (its source says that it is not deployed), data sets,
// deposits of workers, withdrawals.

import { encodePacked, keccak256, pad, toFunctionSelector, toHex, zeroAddress, zeroHash } from 'viem';
import { account, built, sum } from './chain.mjs';
import { builds, linked } from './packages.mjs';

const PRICE = 1000n;
const MAX = 2n ** 128n;
const FACETS = ['Configuration', 'CategoryManager', 'EscrowToken', 'Poco1', 'Poco2'];
const ORDERS = {
  App: ['address app', 'uint256 appprice', 'uint256 volume', 'bytes32 tag']
    .concat(['address datasetrestrict', 'address workerpoolrestrict'])
    .concat(['address requesterrestrict', 'bytes32 salt']),
  Workerpool: ['address workerpool', 'uint256 workerpoolprice', 'uint256 volume', 'bytes32 tag']
    .concat(['uint256 category', 'uint256 trust', 'address apprestrict'])
    .concat(['address datasetrestrict', 'address requesterrestrict', 'bytes32 salt']),
  Request: ['address app', 'uint256 appmaxprice', 'address dataset', 'uint256 datasetmaxprice']
    .concat(['address workerpool', 'uint256 workerpoolmaxprice', 'address requester'])
    .concat(['uint256 volume', 'bytes32 tag', 'uint256 category', 'uint256 trust'])
    .concat(['address beneficiary', 'address callback', 'string params', 'bytes32 salt']),
};

async function diamond(chain, owner) {
  const build = builds('iexec');
  const of = (path) => {
    const name = path.split('/').at(-1);
    return build(`artifacts/contracts/${path}.sol/${name}.json`);
  };
  const orders = await chain.deploy(owner, of('libs/IexecLibOrders_v5'));
  const libraries = { IexecLibOrders_v5: orders.address };
  const taken = new Set();
  const cuts = [];
  const abi = [];
  const facet = async (made) => {
    const { address } = await chain.deploy(owner, linked(made, libraries));
    const selectors = made.abi
      .filter(({ type }) => type === 'function')
      .map((item) => toFunctionSelector(item))
      .filter((selector) => !taken.has(selector));
    selectors.forEach((selector) => taken.add(selector));
    abi.push(...made.abi);
    cuts.push({ facetAddress: address, action: 0, functionSelectors: selectors });
  };
  for (const name of FACETS) await facet(of(`facets/Iexec${name}Facet`));
  await facet(build('deployments/arbitrum/OwnershipFacet.json'));
  const args = [cuts, { owner, init: zeroAddress, initCalldata: '0x' }];
  const { address } = await chain.deploy(owner, of('Diamond'), args);
  const hub = chain.at(address, abi.filter(({ type }) => type === 'function'));

  const token = await chain.deploy(owner, built('AyniToken'), [owner]);
  const registry = async (path) => {
    const made = await chain.deploy(owner, of(path));
    await made.send(owner, 'initialize', [zeroAddress]);
    return made;
  };
  const apps = await registry('registries/apps/AppRegistry');
  const datasets = await registry('registries/datasets/DatasetRegistry');
  const pools = await registry('registries/workerpools/WorkerpoolRegistry');
  const of3 = [apps.address, datasets.address, pools.address];
  await hub.send(owner, 'configure', [token.address, 'Staked', 'S', 6, ...of3, zeroAddress]);
  await hub.send(owner, 'createCategory', ['all', 'all', 86_400n]);
  return { hub, token, apps, pools };
}

function signer(chain, hub) {
  const domain = { name: 'iExecODB', version: '5.0.0', chainId: chain.chainId };
  return async (who, kind, message) => {
    const fields = ORDERS[kind].map((field) => {
      const [type, name] = field.split(' ');
      return { name, type };
    });
    const sign = await who.signTypedData({
      domain: { ...domain, verifyingContract: hub.address },
      types: { [`${kind}Order`]: fields },
      primaryType: `${kind}Order`,
      message,
    });
    return { ...message, sign };
  };
}

async function deal(chain, stage, volume, salt) {
  const { hub, app, pool, developer, scheduler, requester } = stage;
  const sign = signer(chain, hub);
  const none = { tag: zeroHash, requesterrestrict: zeroAddress };
  const fresh = { salt: pad(toHex(salt), { size: 32 }), volume };
  const free = { app, appprice: 0n, datasetrestrict: zeroAddress, workerpoolrestrict: zeroAddress };
  const offered = { workerpool: pool, workerpoolprice: PRICE, category: 0n, trust: 1n };
  const open = { apprestrict: zeroAddress, datasetrestrict: zeroAddress };
  const asked = { app, appmaxprice: 0n, dataset: zeroAddress, datasetmaxprice: 0n };
  const paying = { workerpool: pool, workerpoolmaxprice: PRICE, requester: requester.address };
  const job = { category: 0n, trust: 1n, beneficiary: requester.address, callback: zeroAddress };
  const request = { ...asked, ...paying, ...job, tag: zeroHash, params: '{}', ...fresh };
  const orders = [
    await sign(developer, 'App', { ...free, ...none, ...fresh }),
    {
      dataset: zeroAddress,
      datasetprice: 0n,
      workerpoolrestrict: zeroAddress,
      apprestrict: zeroAddress,
      ...none,
      ...fresh,
      volume: 0n,
      sign: '0x',
    },
    await sign(scheduler, 'Workerpool', { ...offered, ...open, ...none, ...fresh }),
    await sign(requester, 'Request', request),
  ];
  const id = await hub.read('matchOrders', orders, requester.address);
  return { id, cost: await hub.send(requester.address, 'matchOrders', orders) };
}

/** What a worker needs to answer a task: the scheduler's word for it, and its own two hashes. */
async function words(scheduler, worker, task) {
  const message = ['address', 'bytes32', 'address'];
  const raw = keccak256(encodePacked(message, [worker, task, zeroAddress]));
  const digest = keccak256(encodePacked(['string', 'bytes32'], ['result', task]));
  return {
    digest,
    hash: keccak256(encodePacked(['bytes32', 'bytes32'], [task, digest])),
    seal: keccak256(encodePacked(['address', 'bytes32', 'bytes32'], [worker, task, digest])),
    allowed: await scheduler.signMessage({ message: { raw } }),
  };
}

async function life({ hub, scheduler }, worker, id, index) {
  const task = keccak256(encodePacked(['bytes32', 'uint256'], [id, BigInt(index)]));
  const { digest, hash, seal, allowed } = await words(scheduler, worker, task);
  const contribution = [task, hash, seal, zeroAddress, '0x', allowed];
  return sum([
    await hub.send(scheduler.address, 'initialize', [id, BigInt(index)]),
    await hub.send(worker, 'contribute', contribution),
    await hub.send(worker, 'reveal', [task, digest]),
    await hub.send(scheduler.address, 'finalize', [task, digest, '0x']),
  ]);
}

/** The shortest way it has: all tasks initialised at once, each answered and ended by one step. */
async function short({ hub, scheduler }, workers, id) {
  const ids = workers.map(() => id);
  const indexes = workers.map((_, i) => BigInt(i));
  const costs = [await hub.send(scheduler.address, 'initializeArray', [ids, indexes])];
  for (const [i, worker] of workers.entries()) {
    const task = keccak256(encodePacked(['bytes32', 'uint256'], [id, BigInt(i)]));
    const { digest, allowed } = await words(scheduler, worker, task);
    const args = [task, digest, digest, '0x', zeroAddress, '0x', allowed];
    costs.push(await hub.send(worker, 'contributeAndFinalize', args));
  }
  return sum(costs);
}

/** Measures two rounds of tasks by as many workers: a worker's first, and any later one. */
export async function iexecOf(chain, providers) {
  const owner = account('iexec').address;
  const [developer, scheduler, requester] = ['developer', 'scheduler', 'requester'].map(account);
  const { hub, token, apps, pools } = await diamond(chain, owner);
  const appArgs = [developer.address, 'app', 'DOCKER', '0x00', zeroHash, '0x'];
  const app = await apps.read('createApp', appArgs, owner);
  await apps.send(owner, 'createApp', appArgs);
  const poolArgs = [scheduler.address, 'pool'];
  const pool = await pools.read('createWorkerpool', poolArgs, owner);
  await pools.send(owner, 'createWorkerpool', poolArgs);
  const workers = Array.from({ length: providers }, (_, i) => account(`worker ${i}`).address);
  const deposit = async (who) => {
    await token.send(owner, 'mint', [who, MAX]);
    await token.send(who, 'approve', [hub.address, MAX]);
    return hub.send(who, 'deposit', [10n ** 9n]);
  };
  const paidIn = await deposit(requester.address);
  for (const who of [scheduler.address, ...workers]) await deposit(who);

  const stage = { hub, app, pool, developer, scheduler, requester };
  const n = BigInt(providers);
  const first = await deal(chain, stage, n * 2n, 1n);
  const fixed = sum([paidIn, first.cost]);
  const rounds = [[], []];
  for (const [round, costs] of rounds.entries()) {
    for (const [i, worker] of workers.entries()) {
      costs.push(await life(stage, worker, first.id, round * providers + i));
    }
  }
  const second = await deal(chain, stage, n, 2n);
  const shortly = await short(stage, workers, second.id);
  const [once, later] = rounds.map(sum);
  const whole = (tasks) => {
    if (tasks === 1) return sum([fixed, rounds[0][0]]);
    return sum([fixed, once]).plus(later, tasks / providers - 1);
  };
  const shortest = (tasks) =>
    tasks === 1 ? whole(1) : sum([fixed]).plus(shortly, tasks / providers);
  return { whole, shortest, fixed, once, later, shortly };
}

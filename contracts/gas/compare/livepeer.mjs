// Livepeer's ticket broker: signed lottery tickets, of which the winning ones are redeemed.
// The whole system is there as published: controller, token, minter, bonding, rounds, each behind
// its proxy, with every provider an active transcoder. One thing is not in the package's reach, the
// cache of the other chain's supply: an account that answers every question with one number.
// Deliberately not here: withdrawing the fees, and the two deposits' return.

import { encodePacked, keccak256, numberToHex, padHex, toBytes } from 'viem';
import { account, sum } from './chain.mjs';
import { builds, linked } from './packages.mjs';

// Every transaction is a block; all bonds, and all tickets, have to fall into one round.
const ROUND_BLOCKS = 700n;
const FACE = 10n ** 12n;
const ALWAYS = 2n ** 256n - 1n;
const STAKE = 10n ** 18n;

const id = (name) => keccak256(toBytes(name));

async function system(chain, owner, providers) {
  const build = builds('livepeer');
  const of = (folder, name) => build(`abis/${folder}${name}.sol/${name}.json`);
  const controller = await chain.deploy(owner, of('', 'Controller'));
  const name = (what, address) =>
    controller.send(owner, 'setContractInfo', [id(what), address, padHex('0x', { size: 20 })]);
  await controller.send(owner, 'unpause');

  const token = await chain.deploy(owner, of('token/', 'LivepeerToken'));
  await name('LivepeerToken', token.address);
  const inflation = [controller.address, 137n, 3n, 500_000n];
  const minter = await chain.deploy(owner, of('token/', 'Minter'), inflation);
  await name('Minter', minter.address);
  const cache = account('supply of the other chain').address;
  // PUSH12 10^27, MSTORE at 0, return the word.
  const constant = `0x6b${(10n ** 27n).toString(16).padStart(24, '0')}60005260206000f3`;
  await chain.ask('anvil_setCode', [cache, constant]);
  await name('L2LPTDataCache', cache);

  const lists = await chain.deploy(owner, of('libraries/', 'SortedDoublyLL'));
  const behindProxy = async (what, folder, libraries = {}) => {
    const target = linked(of(folder, what), libraries);
    const { address } = await chain.deploy(owner, target, [controller.address]);
    await name(`${what}Target`, address);
    const proxied = [controller.address, id(`${what}Target`)];
    const proxy = await chain.deploy(owner, of('', 'ManagerProxy'), proxied);
    await name(what, proxy.address);
    return chain.at(proxy.address, target.abi);
  };
  const bonding = await behindProxy('BondingManager', 'bonding/', {
    SortedDoublyLL: lists.address,
  });
  const rounds = await behindProxy('RoundsManager', 'rounds/');
  const broker = await behindProxy('TicketBroker', 'pm/');
  // The minter knows it by an older name.
  await name('JobsManager', broker.address);

  await bonding.send(owner, 'setUnbondingPeriod', [7n]);
  await bonding.send(owner, 'setNumActiveTranscoders', [BigInt(providers)]);
  await rounds.send(owner, 'setRoundLength', [ROUND_BLOCKS]);
  await rounds.send(owner, 'setRoundLockAmount', [0n]);
  await broker.send(owner, 'setUnlockPeriod', [100n]);
  await broker.send(owner, 'setTicketValidityPeriod', [10n]);
  await token.send(owner, 'grantRole', [id('MINTER_ROLE'), owner]);
  await token.send(owner, 'grantRole', [id('MINTER_ROLE'), minter.address]);
  return { token, bonding, rounds, broker };
}

async function nextRound(chain, owner, rounds) {
  await chain.mine(ROUND_BLOCKS);
  await rounds.send(owner, 'initializeRound');
}

async function ticket(sender, rounds, recipient, nonce, rand) {
  const round = await rounds.read('lastInitializedRound');
  const hash = await rounds.read('blockHashForRound', [round]);
  const recipientRandHash = keccak256(encodePacked(['uint256'], [rand]));
  const auxData = encodePacked(['uint256', 'bytes32'], [round, hash]);
  const fields = ['address', 'address', 'uint256', 'uint256', 'uint256', 'bytes32', 'bytes'];
  const values = [recipient, sender.address, FACE, ALWAYS, nonce, recipientRandHash, auxData];
  const signature = await sender.signMessage({
    message: { raw: keccak256(encodePacked(fields, values)) },
  });
  const body = { recipient, sender: sender.address, faceValue: FACE, winProb: ALWAYS };
  return [{ ...body, senderNonce: nonce, recipientRandHash, auxData }, signature, rand];
}

/** Each provider wins once, alone; then all of them once more in one transaction. */
export async function livepeerOf(chain, providers) {
  const owner = account('livepeer').address;
  const payer = account('broadcaster');
  const { token, bonding, rounds, broker } = await system(chain, owner, providers);
  await nextRound(chain, owner, rounds);
  const payees = Array.from({ length: providers }, (_, i) => account(`transcoder ${i}`).address);
  for (const payee of payees) {
    await token.send(owner, 'mint', [payee, STAKE]);
    await token.send(payee, 'approve', [bonding.address, STAKE]);
    await bonding.send(payee, 'bond', [STAKE, payee]);
    await bonding.send(payee, 'transcoder', [0n, 1_000_000n]);
  }
  await nextRound(chain, owner, rounds);
  const [deposit, reserve] = [10n ** 18n, 10n ** 17n];
  const args = [deposit, reserve];
  const funded = await broker.send(payer.address, 'fundDepositAndReserve', args, deposit + reserve);

  const first = [];
  for (const [i, payee] of payees.entries()) {
    const redeem = await ticket(payer, rounds, payee, 1n, BigInt(i));
    first.push(await broker.send(payee, 'redeemWinningTicket', redeem));
  }
  const batch = [[], [], []];
  for (const [i, payee] of payees.entries()) {
    const redeem = await ticket(payer, rounds, payee, 2n, BigInt(i));
    batch.forEach((list, part) => list.push(redeem[part]));
  }
  const relayer = account('relayer').address;
  const together = await broker.send(relayer, 'batchRedeemWinningTickets', batch);
  const [left] = await broker.read('getSenderInfo', [payer.address]).then((info) => [info[0]]);
  if (left.deposit !== deposit - 2n * BigInt(providers) * FACE) {
    throw new Error(`the deposit is ${left.deposit}: not all tickets were paid`);
  }
  const one = sum([funded, first[0]]);
  return {
    single: (tasks) => (tasks === 1 ? one : sum([funded, ...first])),
    batched: (tasks) => (tasks === 1 ? one : sum([funded, together])),
    redeemed: sum(first),
    together,
  };
}

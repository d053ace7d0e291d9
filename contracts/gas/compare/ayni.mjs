// Ours, and the two plain ways beside it: an escrow for each task, x402 `exact` for each task.
// One requester, providers who hold the token already; the requester's one approval is not counted.
// Deliberately not here: other people's contracts.

import { concat, keccak256, numberToHex, parseSignature, toBytes } from 'viem';
import { account, built, sum } from './chain.mjs';

const PRICE = 1000n;
const DELAY = 86_400;
const NEVER = 4_000_000_000n;

async function money(chain) {
  const owner = account('owner').address;
  const token = await chain.deploy(owner, built('AyniToken'), [owner]);
  return { owner, token };
}

async function prepared(chain, providers) {
  const { owner, token } = await money(chain);
  const payer = account('payer');
  await token.send(owner, 'mint', [payer.address, 10n ** 18n]);
  const payees = Array.from({ length: providers }, (_, i) => account(`payee ${i}`).address);
  for (const payee of payees) await token.send(owner, 'mint', [payee, 1n]);
  return { owner, token, payer, payees };
}

/** Vouchers as `ClaimRows` packs them: of each row what differs from the one before. */
async function rows(chain, channels, { token, payer, payees }, salt, sessions) {
  const out = [];
  const saltHex = numberToHex(salt, { size: 32 });
  for (const [i, payee] of payees.entries()) {
    const config = {
      payer: payer.address,
      payerAuthorizer: sessions[i].address,
      receiver: payee,
      receiverAuthorizer: payee,
      token: token.address,
      withdrawDelay: DELAY,
      salt: saltHex,
    };
    const channelId = await channels.read('getChannelId', [config]);
    const signature = await sessions[i].signTypedData({
      domain: {
        name: 'x402 Batch Settlement',
        version: '1',
        chainId: chain.chainId,
        verifyingContract: channels.address,
      },
      types: {
        Voucher: [
          { name: 'channelId', type: 'bytes32' },
          { name: 'maxClaimableAmount', type: 'uint128' },
        ],
      },
      primaryType: 'Voucher',
      message: { channelId, maxClaimableAmount: PRICE },
    });
    const first = i === 0;
    const shared = first ? 0x01 | 0x10 | 0x20 | (salt ? 0x40 : 0) : 0;
    out.push(numberToHex(0x80 | 0x04 | 0x02 | shared, { size: 1 }));
    if (first) out.push(payer.address);
    out.push(sessions[i].address, payee);
    if (first) out.push(token.address, numberToHex(DELAY, { size: 5 }));
    if (first && salt) out.push(saltHex);
    out.push(numberToHex(PRICE, { size: 16 }), signature);
  }
  return concat(out);
}

/** Channels: opened at once, claimed and paid at once by a relayer. */
export async function channelsOf(chain, providers) {
  const stage = await prepared(chain, providers);
  const { owner, token, payer, payees } = stage;
  const channels = await chain.deploy(owner, built('Channels'), [owner]);
  await token.send(payer.address, 'approve', [channels.address, 2n ** 256n - 1n]);
  const round = async (salt, to) => {
    const sessions = to.map((_, i) => account(`session ${salt} ${i}`));
    const openings = to.map((payee, i) => ({
      payerAuthorizer: sessions[i].address,
      receiver: payee,
      receiverAuthorizer: payee,
      amount: 100n * PRICE,
    }));
    const args = [token.address, DELAY, numberToHex(salt, { size: 32 }), openings];
    const opened = await channels.send(payer.address, 'openMany', args);
    const packed = await rows(chain, channels, { token, payer, payees: to }, salt, sessions);
    const before = await token.read('balanceOf', [to[0]]);
    const claimed = await channels.send(account('relayer').address, 'claimAndSettle', [packed]);
    const paid = (await token.read('balanceOf', [to[0]])) - before;
    if (paid !== PRICE) throw new Error(`a payee got ${paid} and not ${PRICE}`);
    return { opened, claimed };
  };
  const one = await round(0, payees.slice(0, 1));
  const all = await round(1, payees);
  const whole = ({ opened, claimed }) => sum([opened, claimed]);
  return { whole: (tasks) => whole(tasks === 1 ? one : all), one, all };
}

/** An escrow for each task; the second is counted, since the first fills counters. */
export async function escrowOf(chain) {
  const { owner, token, payer, payees } = await prepared(chain, 2);
  const escrow = await chain.deploy(owner, built('Escrow'), [token.address]);
  await token.send(payer.address, 'approve', [escrow.address, 2n ** 256n - 1n]);
  let task;
  for (const id of [1n, 2n]) {
    const opened = await escrow.send(payer.address, 'open', [payees[0], PRICE, NEVER]);
    task = sum([opened, await escrow.send(payer.address, 'release', [id])]);
  }
  return (tasks) => sum([]).plus(task, tasks);
}

/** x402 `exact`: a signed transfer for each task, brought by a relayer. */
export async function exactOf(chain) {
  const { token, payer, payees } = await prepared(chain, 1);
  const nonce = keccak256(toBytes('task'));
  const kinds = ['address from', 'address to', 'uint256 value', 'uint256 validAfter'];
  kinds.push('uint256 validBefore', 'bytes32 nonce');
  const fields = kinds.map((kind) => {
    const [type, name] = kind.split(' ');
    return { name, type };
  });
  const signature = await payer.signTypedData({
    domain: {
      name: 'Ayni test money',
      version: '1',
      chainId: chain.chainId,
      verifyingContract: token.address,
    },
    types: { TransferWithAuthorization: fields },
    primaryType: 'TransferWithAuthorization',
    message: {
      from: payer.address,
      to: payees[0],
      value: PRICE,
      validAfter: 0n,
      validBefore: NEVER,
      nonce,
    },
  });
  const { r, s, v } = parseSignature(signature);
  const args = [payer.address, payees[0], PRICE, 0n, NEVER, nonce, Number(v), r, s];
  const task = await token.send(account('relayer').address, 'transferWithAuthorization', args);
  return (tasks) => sum([]).plus(task, tasks);
}

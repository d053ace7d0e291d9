#!/usr/bin/env node
// Writes test/vectors/x402.json: ids, signatures and calldata as the packages `@x402/evm` and
// `viem` make them, for the contract at the address that x402 has in code. `--check` fails if the
// file would change.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeFunctionData } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { computeChannelId, signVoucher } from '@x402/evm/batch-settlement/client';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '../../node_modules/@x402/evm/dist/esm');
// Not exported by name; the version is pinned.
const { batchSettlementABI: abi } = await import(join(dist, 'chunk-H25OEB2U.mjs'));
const { buildErc3009CollectorData, buildErc3009DepositNonce } = await import(
  join(dist, 'chunk-W6ON4LG2.mjs')
);
const { BATCH_SETTLEMENT_ADDRESS: channels, receiveAuthorizationTypes } = await import(
  join(dist, 'chunk-5XX3PMSD.mjs')
);
const { signClaimBatch, signRefund } = await import(join(dist, 'chunk-FMDED53H.mjs'));

const network = 'eip155:31337';
const key = (byte) => privateKeyToAccount(`0x${byte.repeat(32)}`);
const [payer, session, receiver, authorizer] = ['11', '12', '13', '14'].map(key);
const token = '0x7000000000000000000000000000000000000007';
const config = {
  payer: payer.address,
  payerAuthorizer: session.address,
  receiver: receiver.address,
  receiverAuthorizer: authorizer.address,
  token,
  withdrawDelay: 86_400,
  salt: `0x${'00'.repeat(31)}2a`,
};
const amounts = { deposit: 1_000_000n, ceiling: 400_000n, claimed: 300_000n, refund: 200_000n };

const call = (functionName, args) => encodeFunctionData({ abi, functionName, args });
const id = computeChannelId(config, network);
const voucher = await signVoucher(session, id, amounts.ceiling.toString(), network);
const claims = [
  {
    voucher: { channel: config, maxClaimableAmount: amounts.ceiling },
    signature: voucher.signature,
    totalClaimed: amounts.claimed,
  },
];
const [validAfter, validBefore, salt] = [0n, 4_000_000_000n, 99n];
const authorization = await payer.signTypedData({
  domain: { name: 'Ayni test money', version: '1', chainId: 31_337, verifyingContract: token },
  types: receiveAuthorizationTypes,
  primaryType: 'ReceiveWithAuthorization',
  message: {
    from: payer.address,
    to: channels,
    value: amounts.deposit,
    validAfter,
    validBefore,
    nonce: buildErc3009DepositNonce(id, salt),
  },
});
const collectorData = buildErc3009CollectorData(validAfter, validBefore, salt, authorization);
const batchSignature = await signClaimBatch(authorizer, claims, network);
const refundSignature = await signRefund(authorizer, id, amounts.refund.toString(), '0', network);

const made = {
  about: 'Made by `node test/vectors/make.mjs` with @x402/evm 2.27.0 and viem 2.48.11.',
  channels,
  token,
  payer: payer.address,
  session: session.address,
  receiver: receiver.address,
  authorizer: authorizer.address,
  id,
  voucher: voucher.signature,
  amounts: Object.fromEntries(Object.entries(amounts).map(([name, value]) => [name, Number(value)])),
  calls: {
    getChannelId: call('getChannelId', [config]),
    deposit: call('deposit', [config, amounts.deposit, channels, collectorData]),
    claim: call('claim', [claims]),
    claimWithSignature: call('claimWithSignature', [claims, batchSignature]),
    settle: call('settle', [receiver.address, token]),
    refundWithSignature: call('refundWithSignature', [config, amounts.refund, 0n, refundSignature]),
    multicall: call('multicall', [
      [
        call('claimWithSignature', [claims, batchSignature]),
        call('refundWithSignature', [config, amounts.refund, 0n, refundSignature]),
        call('settle', [receiver.address, token]),
      ],
    ]),
    initiateWithdraw: call('initiateWithdraw', [config, amounts.deposit - amounts.claimed]),
    finalizeWithdraw: call('finalizeWithdraw', [config]),
    channels: call('channels', [id]),
    pendingWithdrawals: call('pendingWithdrawals', [id]),
    receivers: call('receivers', [receiver.address, token]),
    refundNonce: call('refundNonce', [id]),
    getVoucherDigest: call('getVoucherDigest', [id, amounts.ceiling]),
    getRefundDigest: call('getRefundDigest', [id, 0n, amounts.refund]),
    getClaimBatchDigest: call('getClaimBatchDigest', [claims]),
    CHANNEL_CONFIG_TYPEHASH: call('CHANNEL_CONFIG_TYPEHASH', []),
  },
};

const path = join(here, 'x402.json');
const text = `${JSON.stringify(made, null, 1)}\n`;
if (!process.argv.includes('--check')) {
  writeFileSync(path, text);
} else if (readFileSync(path, 'utf8') !== text) {
  console.error('error: test/vectors/x402.json is out of date\nhint: node test/vectors/make.mjs');
  process.exit(1);
}

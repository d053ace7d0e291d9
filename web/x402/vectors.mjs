// The public client's channel ids and vouchers for scheme `batch-settlement`, for our own code to
// check. The client knows one address of the contract and no other, so it can't pay ours; what it
// signs is the same but for that address. Deliberately not here: a listener for that scheme.
//
//   node vectors.mjs
//
// One line of JSON on stdout.

import { computeChannelId, signVoucher } from "@x402/evm/batch-settlement/client";
import { privateKeyToAccount } from "viem/accounts";

const account = (n) => privateKeyToAccount(`0x${n.toString(16).padStart(2, "0").repeat(32)}`);
const network = "eip155:31337";
const vectors = [];
for (const [salt, ceiling] of [[1, "1"], [2, "340282366920938463463374607431768211455"], [255, "1000000"]]) {
  const config = {
    payer: account(3).address,
    payerAuthorizer: account(4).address,
    receiver: account(5).address,
    receiverAuthorizer: account(6).address,
    token: account(7).address,
    withdrawDelay: 86400,
    salt: `0x${salt.toString(16).padStart(2, "0").repeat(32)}`,
  };
  const channel = computeChannelId(config, network);
  const { signature } = await signVoucher(account(4), channel, ceiling, network);
  vectors.push({ config, ceiling, channel, signature });
}
console.log(JSON.stringify({ chain: 31337, vectors }));

// Buys a run from an x402 listener, with a public client and none of our code: what a stranger would
// write from the client's own documentation. It is driven by the tests of crates/x402.
// Deliberately not here: checks of the listener beyond what the client makes itself.
//
//   KEY=0x… TOKEN=0x… node buy.mjs URL PROGRAM.wasm
//
// One line of JSON on stdout: the HTTP status, the body, and the settlement.

import { readFile } from "node:fs/promises";
import { ExactEvmScheme } from "@x402/evm/exact/client";
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { privateKeyToAccount } from "viem/accounts";

const [url, program] = process.argv.slice(2);
const account = privateKeyToAccount(process.env.KEY);
const client = new x402Client().register("eip155:*", new ExactEvmScheme(account));
// It pays in dollars that it knows unless it is told of another token, and how much of it at most.
client.setSpendControls({
  allowedAssets: [{ network: "eip155:*", asset: process.env.TOKEN, maxAmountPerPayment: "10000" }],
});
const pay = wrapFetchWithPayment(fetch, client);
const response = await pay(url, { method: "POST", body: await readFile(program) });
const settled = response.headers.get("PAYMENT-RESPONSE");
console.log(
  JSON.stringify({
    status: response.status,
    body: await response.json(),
    settlement: settled && decodePaymentResponseHeader(settled),
  }),
);

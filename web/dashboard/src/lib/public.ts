// The public explorer's API: fields of the node's shapes, those that anybody may see.
import { ApiError, type ChannelJson, type DisputeState, type OfferJson, type ProofJson, type VerifyReport, get, send } from "./api";

export type Proof = Omit<ProofJson, "provider">;
export type Channel = Pick<ChannelJson, "id" | "state" | "payer" | "payee" | "deposit" | "claimed" | "withdrawal_from_ms">;
export type Dispute = Omit<DisputeState, "part" | "trouble">;
export type Report = Pick<VerifyReport, "ok" | "steps">;
export interface Market { offers: OfferJson[] }
export interface Provider { node: string; offer: OfferJson | null; proofs: Proof[]; disputes: Dispute[] }
export type Found = { provider: Provider } | { channel: Channel } | { dispute: Dispute };

/** Receipts are taken up to this size, in bytes. */
export const RECEIPT_BYTES_MAX = 256 * 1024;

/** What an id is of; how a provider's ends is enough if it is among `offers`. */
export async function find(text: string, offers: OfferJson[]): Promise<Found> {
  const plain = text.replace(/^0x/i, "").toLowerCase();
  if (/^\d{1,15}$/.test(text)) return { dispute: await get(`/v1/disputes/${text}`) };
  if (/^[0-9a-f]{64}$/.test(plain)) return { channel: await get(`/v1/channels/${plain}`) };
  const ends = text.length >= 6 ? offers.filter((offer) => offer.node.endsWith(text)) : [];
  return { provider: await get(`/v1/providers/${encodeURIComponent(ends.length === 1 ? (ends[0]?.node ?? text) : text)}`) };
}

export async function check(bytes: Blob): Promise<Report> {
  const headers = { "content-type": "application/cbor" };
  return (await send("POST", "/v1/verify", { body: bytes, headers })).json() as Promise<Report>;
}

/** Bytes from base64. */
export function bytesOf(text: string): Blob | null {
  try {
    return new Blob([Uint8Array.from(atob(text.replace(/\s/g, "")), (one) => one.charCodeAt(0))]);
  } catch {
    return null;
  }
}

/** Something that this page itself refuses. */
export const refused = (message: string): ApiError => new ApiError(400, "", message, "");

// The node's HTTP API, as a page of the node may use it. Shapes come from the OpenAPI document, so
// that a change of the API is found when this page is built.
import type { components } from "../generated/openapi";
import { session } from "./session.svelte";

type Schemas = components["schemas"];
export type Status = Schemas["Status"];
export type JobSummary = Schemas["JobSummary"];
export type JobDetail = Schemas["JobDetail"];
export type JobProvider = Schemas["JobProvider"];
export type PhaseJson = Schemas["PhaseJson"];
export type TaskRow = Schemas["TaskRow"];
export type TaskDetail = Schemas["TaskDetail"];
export type TaskJson = Schemas["TaskJson"];
export type TaskState = Schemas["TaskState"];
export type Evidence = Schemas["Evidence"];
export type OfferJson = Schemas["OfferJson"];
export type ProofJson = Schemas["ProofJson"];
export type Peer = Schemas["Peer"];
export type Why = Schemas["Why"];
export type Doctor = Schemas["Doctor"];
export type ProviderStatus = Schemas["ProviderStatus"];
export type OwnerLimits = Schemas["OwnerLimits"];
export type WalletJson = Schemas["WalletJson"];
export type ChannelJson = Schemas["ChannelJson"];
export type StakeJson = Schemas["StakeJson"];
export type DisputeState = Schemas["DisputeState"];
export type ProposalList = Schemas["ProposalList"];
export type QuoteJson = Schemas["QuoteJson"];
export type QuoteRequest = Schemas["QuoteRequest"];
export type JobRequest = Schemas["JobRequest"];
export type CheckJson = Schemas["CheckJson"];
export type VerifyReport = Schemas["VerifyReport"];
export type EventJson = Schemas["EventJson"];
export type OutcomeJson = Schemas["OutcomeJson"];
export type BlobJson = Schemas["BlobJson"];

/** Why a request failed: the node's own words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

async function failure(response: Response): Promise<ApiError> {
  let error = { code: "", message: `status ${response.status}`, hint: "" };
  try {
    error = ((await response.json()) as { error: typeof error }).error;
  } catch {
    // Not from the API: the status says what there is to say.
  }
  return new ApiError(response.status, error.code, error.message, error.hint);
}

/** Ends with the session, and every request of it too, until there is another one. */
let life = new AbortController();
const SESSION = "/v1/session";

/** Logs this browser out. What is under way is given up first: it would only be refused. */
export async function leave(): Promise<void> {
  const headers = new Headers();
  if (session.key !== null) headers.set("X-Ayni-Key", session.key);
  session.forget();
  life.abort();
  // Where the node does not answer, the session ends by itself.
  await fetch(SESSION, { method: "DELETE", headers }).catch(() => undefined);
}

/** Sends a request with the session's key; an answer that is no success becomes an `ApiError`. */
export async function send(method: string, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (session.key !== null) headers.set("X-Ayni-Key", session.key);
  if (session.key !== null && life.signal.aborted) life = new AbortController();
  const ends = [init.signal, path === SESSION ? null : life.signal].filter((end) => end != null);
  let response: Response;
  try {
    response = await fetch(path, { ...init, method, headers, signal: AbortSignal.any(ends) });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "", "the node does not answer", "ayni status");
  }
  if (response.ok) return response;
  const error = await failure(response);
  if (error.code === "E-API-001") session.forget();
  throw error;
}

export async function get<T>(path: string): Promise<T> {
  return (await send("GET", path)).json() as Promise<T>;
}

async function sendJson<T>(method: string, path: string, body?: unknown): Promise<T> {
  const json = { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return (await send(method, path, body === undefined ? {} : json)).json() as Promise<T>;
}

export const post = <T>(path: string, body?: unknown): Promise<T> => sendJson("POST", path, body);
export const put = <T>(path: string, body: unknown): Promise<T> => sendJson("PUT", path, body);

/** Puts bytes; answers their digest. */
export async function putBlob(bytes: Blob): Promise<BlobJson> {
  return (await send("POST", "/v1/blobs", { body: bytes })).json() as Promise<BlobJson>;
}

/** The first bytes of a blob as text; strangers wrote it. */
export async function blobText(digest: string, bytesMax: number): Promise<{ text: string; whole: boolean }> {
  const response = await send("GET", `/v1/blobs/${digest}`);
  const reader = response.body?.getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (reader && length <= bytesMax) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    length += value.length;
  }
  await reader?.cancel();
  const bytes = new Uint8Array(Math.min(length, bytesMax));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece.subarray(0, bytes.length - at), at);
    at = Math.min(at + piece.length, bytes.length);
  }
  return { text: new TextDecoder().decode(bytes), whole: length <= bytesMax };
}

/** Downloads go through the browser's memory: a plain link could not carry the session's key. */
export const DOWNLOAD_BYTES_MAX = 512 * 1024 * 1024;

/** Has the browser save bytes under a name of which only the last part is taken. */
export function save(bytes: Blob, name: string): void {
  const url = URL.createObjectURL(bytes);
  const link = document.createElement("a");
  link.href = url;
  link.download = name.split("/").pop() ?? "";
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export async function download(path: string, name: string): Promise<void> {
  save(await (await send("GET", path)).blob(), name);
}

/** All tasks of a job, page by page, up to `max`. */
export async function allTasks(job: string, max: number, spec = false): Promise<TaskRow[]> {
  const rows: TaskRow[] = [];
  let from: number | null | undefined = 0;
  while (from != null && rows.length < max) {
    const query: string = `from=${from}&count=1000${spec ? "&spec=true" : ""}`;
    const page: Schemas["TaskList"] = await get(`/v1/jobs/${job}/tasks?${query}`);
    rows.push(...page.tasks);
    from = page.next;
  }
  return rows;
}

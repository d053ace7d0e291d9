// Jobs on their way to the node, and receipts.
import { type JobDetail, type JobRequest, type TaskJson, type VerifyReport, allTasks, post, send } from "./api";

/** Tasks in one request: the API's limit. */
const TASKS_MAX = 5_000;

/** A new id for a job, drawn here, so that sending it twice is harmless. */
export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Submits a job of any size; answers its id. */
export async function submit(request: Partial<JobRequest>, tasks: TaskJson[]): Promise<string> {
  const id = newId();
  const first = tasks.slice(0, TASKS_MAX);
  const open = tasks.length > TASKS_MAX;
  await post("/v1/jobs", { ...request, id, tasks: first, open });
  for (let at = TASKS_MAX; at < tasks.length; at += TASKS_MAX) {
    await post(`/v1/jobs/${id}/tasks`, { first_index: at, tasks: tasks.slice(at, at + TASKS_MAX) });
  }
  if (open) await post(`/v1/jobs/${id}/close`);
  return id;
}

/** Submits the same tasks again. The node runs none whose outcome it holds. */
export async function again(job: JobDetail): Promise<string> {
  const rows = await allTasks(job.id, Number.MAX_SAFE_INTEGER, true);
  const tasks = rows.flatMap((row) => (row.spec == null ? [] : [row.spec]));
  const { name, timeout_ms, verify, nondeterministic, budget } = job;
  return submit({ name, timeout_ms, verify, nondeterministic, ...(budget == null ? {} : { budget }) }, tasks);
}

/** Has the node check a receipt, and execute its task again if that is wanted. */
export async function verify(receipt: Blob, execute: boolean): Promise<VerifyReport> {
  const headers = { "content-type": "application/cbor" };
  const answer = await send("POST", `/v1/verify?re_execute=${execute}`, { body: receipt, headers });
  return (await answer.json()) as VerifyReport;
}

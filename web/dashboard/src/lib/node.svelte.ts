// What every page knows of the node: its status, and names for other nodes.
import { type Status, get } from "./api";
import { short } from "./format";
import { Resource } from "./live.svelte";

const CALM = new Set(["assigned", "delivered", "task_accepted"]);

class NodeState {
  readonly status = new Resource<Status>(() => get("/v1/status"));

  get home(): string {
    return this.status.value?.home ?? "HOME";
  }

  /** A node's short name; the node itself is `home`. */
  name(id: string | null | undefined, home: string): string {
    return id == null || id === this.status.value?.node ? home : short(id);
  }

  follow(): () => void {
    // Tasks come and go many times a second; what runs is read every two seconds anyway.
    return this.status.follow((event) => !CALM.has(event.event), 2_000);
  }
}

export const node = new NodeState();

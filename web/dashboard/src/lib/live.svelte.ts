// News from `/v1/events`, and what is read again when news comes. After a broken connection it goes
// on after the last event that was seen. `EventSource` can't carry the session's key, so the stream
// is read by `fetch`.
import { ApiError, type EventJson, send } from "./api";

type Listener = (event: EventJson) => void;

/** One stream of events for as long as `stop` is not called. */
export class Stream {
  state = $state<"connecting" | "live" | "waiting">("connecting");
  private last: number | null;
  private readonly abort = new AbortController();

  constructor(
    private readonly path: string,
    private readonly listener: Listener,
    after: number | null = null,
  ) {
    this.last = after;
    void this.run();
  }

  stop(): void {
    this.abort.abort();
  }

  private async run(): Promise<void> {
    let wait = 250;
    while (!this.abort.signal.aborted) {
      try {
        const headers: Record<string, string> = this.last === null ? {} : { "Last-Event-ID": String(this.last) };
        const response = await send("GET", this.path, { headers, signal: this.abort.signal });
        this.state = "live";
        wait = 250;
        await this.read(response);
      } catch (error) {
        if (this.abort.signal.aborted) return;
        if (error instanceof ApiError && error.status >= 400 && error.status < 500) return;
      }
      this.state = "waiting";
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(wait * 2, 8_000);
    }
  }

  private async read(response: Response): Promise<void> {
    if (response.body === null) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let buffer = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      buffer += value;
      const events = buffer.split("\n\n");
      buffer = events.pop() ?? "";
      for (const text of events) {
        const data = text.split("\n").filter((line) => line.startsWith("data:"));
        if (data.length === 0) continue;
        const event = JSON.parse(data.map((line) => line.slice(5).trimStart()).join("\n")) as EventJson;
        this.last = event.id;
        this.listener(event);
      }
    }
  }
}

const listeners = new Set<Listener>();
let node = $state<Stream | null>(null);

/** Starts to listen to the node; answers how to stop. */
export function listen(): () => void {
  const stream = new Stream("/v1/events", (event) => listeners.forEach((listener) => listener(event)));
  node = stream;
  return () => {
    stream.stop();
    node = null;
  };
}

/** How the connection is. */
export function liveness(): "connecting" | "live" | "waiting" {
  return node?.state ?? "connecting";
}

/** What was read, read again when news says that it may have changed, or every so often where no
 *  event tells. */
export class Resource<T> {
  value = $state<T | null>(null);
  error = $state<Error | null>(null);
  private timer: ReturnType<typeof setTimeout> | null = null;
  private busy = false;
  private again = false;

  constructor(private readonly load: () => Promise<T>) {}

  /** To be called in an `$effect`, whose end it returns. */
  follow(wanted: (event: EventJson) => boolean, everyMs: number | null = null): () => void {
    void this.read();
    const listener: Listener = (event) => {
      if (event.event === "resync" || wanted(event)) this.soon();
    };
    listeners.add(listener);
    const interval = everyMs === null ? null : setInterval(() => void this.read(), everyMs);
    return () => {
      listeners.delete(listener);
      if (interval !== null) clearInterval(interval);
      if (this.timer !== null) clearTimeout(this.timer);
      this.timer = null;
    };
  }

  /** Many events in a row are one reason to read. */
  soon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      void this.read();
    }, 300);
  }

  async read(): Promise<void> {
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    try {
      this.value = await this.load();
      this.error = null;
    } catch (error) {
      this.error = error as Error;
    }
    this.busy = false;
    if (this.again) {
      this.again = false;
      await this.read();
    }
  }
}

/** Time that goes on while something shows it. */
export class Clock {
  now = $state(Date.now());
  run(everyMs: number): () => void {
    const interval = setInterval(() => (this.now = Date.now()), everyMs);
    return () => clearInterval(interval);
  }
}

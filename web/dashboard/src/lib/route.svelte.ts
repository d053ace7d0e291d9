// Where the page is: `#/jobs/ID?task=3`. All that can be chosen to be seen is in the address, so
// that it can be kept, sent and gone back to.
class Route {
  parts = $state<string[]>([]);
  query = $state<Record<string, string>>({});

  constructor() {
    this.read();
    addEventListener("hashchange", () => this.read());
  }

  private read(): void {
    const [path = "", query = ""] = location.hash.slice(1).split("?", 2);
    const plain = (part: string): string => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    };
    const parts = path.split("/").filter(Boolean).map(plain);
    // Who reads the parts is not to begin anew where only the query changed.
    if (parts.join("/") !== this.parts.join("/")) this.parts = parts;
    this.query = Object.fromEntries(new URLSearchParams(query));
  }

  get page(): string {
    return this.parts[0] ?? "";
  }

  /** The address with some of the query changed; empty values are left out. */
  with(changes: Record<string, string>): string {
    const query = new URLSearchParams({ ...this.query, ...changes });
    for (const [name, value] of [...query]) if (value === "") query.delete(name);
    const text = query.toString();
    return `#/${this.parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
  }

  /** Changes the query without a step in the browser's history. */
  set(changes: Record<string, string>): void {
    history.replaceState(null, "", this.with(changes));
    this.read();
  }

  go(address: string): void {
    location.hash = address;
  }
}

export const route = new Route();

// An example program, as the build lists it in `/examples/list.json`.
export interface Example {
  /** The row `example.NAME` of the texts says what it asks. */
  name: string;
  /** Where its program is. */
  program: string;
  args: string[];
  /** Files it needs, and where the guest finds them. */
  mounts: { file: string; guest: string }[];
  range: { from: number; to: number; step: number };
  memory: string;
  /** Limit per task, as it is written for `--fuel`. */
  fuel: string;
  timeout: string;
}

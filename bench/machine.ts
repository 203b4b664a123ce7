/** When and on what a benchmark runs. */
import { cpus, release, totalmem } from "node:os";

/** For example `2026-11-23, 2 cores (AMD EPYC), 24 GiB, Linux 6.18.44, Node v24.21.0`. */
export function describeMachine(): string {
  const date = new Date().toISOString().slice(0, 10);
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  return (
    `${date}, ${cpus().length} cores (${cpus()[0]?.model.trim()}), ${gibibytes} GiB, Linux ${release()}, ` +
    `Node ${process.version}`
  );
}

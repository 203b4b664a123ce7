/** The benchmark's results as a Markdown table, for the terminal and for docs/benchmarks.md. Pure. */
import { pairedRatio, quantile, type Sample, type Summary, summarize } from "./statistics.ts";

export interface Results {
  /** When and on what it ran, one line each. */
  setting: string[];
  /** Step → times in seconds, by hand and by Pulumi, paired by round. */
  steps: Record<string, Sample>;
  shifts: ShiftResults;
  reload: ReloadResults;
}

export interface ShiftResults {
  /**
   * Milliseconds from the update of the VirtualService to the last request with the old shares, one for each
   * shift.
   */
  lastOldMs: number[];
  requests: number;
  failed: number;
}

export interface ReloadResults {
  /** Seconds for one reload over SSH, one for each. */
  seconds: number[];
  requests: number;
  failed: number;
}

export function renderResults({ setting, steps, shifts, reload }: Results): string {
  return [
    ...setting,
    "",
    "| step | by hand, s (min / median / max) | `pulumi`, s (min / median / max) | paired ratio |",
    "|---|---|---|---|",
    ...Object.entries(steps).map(
      ([step, sample]) =>
        `| ${step} | ${seconds(sample.byHand)} | ${seconds(sample.pulumi)} | ` +
        `${pairedRatio(sample).toFixed(2)} |`,
    ),
    "",
    "| under a steady stream of requests | measured | requests | failed |",
    "|---|---|---|---|",
    `| ${shifts.lastOldMs.length} weight changes: update of the VirtualService to the last request ` +
      "with the old shares, by the gateway's access log | p50 " +
      `${Math.round(quantile(shifts.lastOldMs, 0.5))} ms, p99 ` +
      `${Math.round(quantile(shifts.lastOldMs, 0.99))} ms | ${shifts.requests} | ${shifts.failed} |`,
    `| ${reload.seconds.length} reloads of HAProxy over SSH | ${seconds(reload.seconds)} s | ` +
      `${reload.requests} | ${reload.failed} |`,
  ].join("\n");
}

function seconds(values: number[]): string {
  const { min, median, max }: Summary = summarize(values);
  return [min, median, max].map((value) => value.toFixed(2)).join(" / ");
}

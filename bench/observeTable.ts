/**
 * What metrics and traces cost, as Markdown tables for the terminal and docs/benchmarks-observability.md.
 * Pure.
 */
import type { Load } from "./load.ts";
import { pairedRatio, quantile, type Sample, summarize } from "./statistics.ts";

/** One round: the same loads with monitoring and tracing on, and with both off. */
export interface Round {
  readonly on: Loads;
  readonly off: Loads;
}

export interface Loads {
  /** Clients without a pause. */
  readonly closed: Load;
  /** Requests at a steady pace. */
  readonly open: Load;
}

export interface Results {
  /** Seconds of `./lab up` from nothing, in pairs. */
  readonly up: { readonly on: readonly number[]; readonly off: readonly number[] };
  readonly rounds: readonly Round[];
  /** Milliseconds from each change of the weights to the picture with them, and to shares that agree. */
  readonly page: { readonly weights: readonly number[]; readonly shares: readonly number[] };
}

export function renderObserve({ up, rounds, page }: Results): string {
  const of = (value: (loads: Loads) => number): Pair => ({
    on: rounds.map(({ on }) => value(on)),
    off: rounds.map(({ off }) => value(off)),
  });
  return [
    "| | off (min / median / max) | on (min / median / max) | paired ratio |",
    "|---|---|---|---|",
    row("`./lab up` from nothing, s", up, 1),
    row(
      "requests a second, clients without a pause",
      of(({ closed }) => closed.ms.length / closed.seconds),
      0,
    ),
    row(
      "their p50, ms",
      of(({ closed }) => quantile([...closed.ms], 0.5)),
      2,
    ),
    row(
      "their p99, ms",
      of(({ closed }) => quantile([...closed.ms], 0.99)),
      2,
    ),
    row(
      "p50 at a steady pace, ms",
      of(({ open }) => quantile([...open.ms], 0.5)),
      2,
    ),
    row(
      "p99 at a steady pace, ms",
      of(({ open }) => quantile([...open.ms], 0.99)),
      2,
    ),
    row(
      "failed requests",
      of(({ closed, open }) => closed.failed + open.failed),
      0,
    ),
    "",
    "| from a change of the weights | min / median / max, s |",
    "|---|---|",
    `| to the picture with the weights | ${spread(page.weights.map(toSeconds), 2)} |`,
    `| to the picture with shares that agree | ${spread(page.shares.map(toSeconds), 2)} |`,
  ].join("\n");
}

interface Pair {
  readonly on: readonly number[];
  readonly off: readonly number[];
}

/** The ratio is on divided by off; a pair of zeros has none. */
function row(what: string, { on, off }: Pair, digits: number): string {
  const sample: Sample = { byHand: [...off], pulumi: [...on] };
  const ratio = off.every((value) => value > 0) ? pairedRatio(sample).toFixed(2) : "–";
  return `| ${what} | ${spread(off, digits)} | ${spread(on, digits)} | ${ratio} |`;
}

function spread(values: readonly number[], digits: number): string {
  const { min, median, max } = summarize([...values]);
  return [min, median, max].map((value) => value.toFixed(digits)).join(" / ");
}

const toSeconds = (milliseconds: number) => milliseconds / 1000;

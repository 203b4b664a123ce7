/**
 * The load balancer's figures as Markdown tables, for the terminal and for docs/benchmarks-haproxy.md. Pure.
 */
import { summarize } from "./statistics.ts";

/** Requests without a pause while configs are pushed. */
export interface Load {
  /** Whether a client keeps its connection or opens one for each request. */
  readonly connections: "kept" | "new";
  readonly requests: number;
  /** Failures by reason. */
  readonly failures: Readonly<Record<string, number>>;
  /** Connections opened. */
  readonly opened: number;
  readonly seconds: number;
  /** Seconds of each push meanwhile. */
  readonly pushSeconds: readonly number[];
}

/** A config with many servers. */
export interface Scale {
  readonly servers: number;
  readonly renderMs: readonly number[];
  readonly pushSeconds: readonly number[];
  /** Whether `haproxy -c` accepted it. */
  readonly accepted: boolean;
}

/** The most that the medians may be. */
export const LIMITS = { renderMs: 10, pushSeconds: 2 };

export function render(loads: readonly Load[], scale: Scale): string {
  return [
    "| connections | requests | failed | pushes meanwhile | push, s (min / median / max) | connections " +
      "opened | requests a second |",
    "|---|---|---|---|---|---|---|",
    ...loads.map(loadRow),
    "",
    ...loads.flatMap(({ connections, failures }) =>
      Object.entries(failures).map(([why, count]) => `- ${connections} connections: ${count} × ${why}`),
    ),
    `| ${scale.servers} servers | min / median / max | limit of the median | |`,
    "|---|---|---|---|",
    limitRow("rendered, ms", scale.renderMs, LIMITS.renderMs),
    limitRow("pushed, s", scale.pushSeconds, LIMITS.pushSeconds),
    `| \`haproxy -c\` | ${scale.accepted ? "accepts it" : "**rejects it**"} | | ${met(scale.accepted)} |`,
  ].join("\n");
}

/** Whether the large config is rendered and pushed in time, and accepted. */
export function withinLimits({ renderMs, pushSeconds, accepted }: Scale): boolean {
  return (
    summarize([...renderMs]).median <= LIMITS.renderMs &&
    summarize([...pushSeconds]).median <= LIMITS.pushSeconds &&
    accepted
  );
}

function loadRow({ connections, requests, failures, opened, seconds, pushSeconds }: Load): string {
  const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
  return `| ${[
    connections,
    number(requests),
    number(failed),
    pushSeconds.length,
    spread(pushSeconds),
    number(opened),
    number(Math.round(requests / seconds)),
  ].join(" | ")} |`;
}

function limitRow(what: string, values: readonly number[], limit: number): string {
  return `| ${what} | ${spread(values)} | ${limit} | ${met(summarize([...values]).median <= limit)} |`;
}

const met = (yes: boolean) => (yes ? "met" : "**not met**");

function spread(values: readonly number[]): string {
  const { min, median, max } = summarize([...values]);
  return [min, median, max].map((value) => value.toFixed(2)).join(" / ");
}

const number = (value: number) => value.toLocaleString("en-US");

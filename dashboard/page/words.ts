/** Figures in words, the same way in the graph and in the tables. */
import type { Flow } from "../picture.ts";

export const NOTHING = "–";

/** E.g. `49.8 %`; a dash where nothing measures it. */
export const percent = (value: number | null) =>
  value === null ? NOTHING : `${value.toFixed(value > 0 && value < 100 ? 1 : 0)} %`;

/** E.g. `12.3/s`. */
export const perSecond = (value: number | null) =>
  value === null ? NOTHING : `${value >= 100 ? Math.round(value) : value.toFixed(1)}/s`;

/** E.g. `3.2 ms`; seconds from 1 s on. */
export function time(value: number | null): string {
  if (value === null) return NOTHING;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/**
 * A name of so many characters at most. A domain is left out first, then the middle: names of nodes and
 * versions differ at either end.
 */
export function shortened(name: string, most: number): string {
  if (name.length <= most) return name;
  const [host = ""] = name.split(".");
  if (host !== name && host.length < most) return `${host}…`;
  const end = Math.floor((most - 1) / 2);
  return `${host.slice(0, most - 1 - end)}…${host.slice(-end)}`;
}

/** The lines beside an edge of the graph: share and rate, errors, times. */
export function flowLines(flow: Flow): string[] {
  const errors = flow.errors === null ? [] : [`${percent(flow.errors)} errors`];
  return [`${percent(flow.share)} · ${perSecond(flow.perSecond)}`, ...errors, ...timeLines(flow)];
}

/** Percentiles, or the mean where there are none; nothing without a request. */
export function timeLines({ mean, p50, p99 }: Flow): string[] {
  if (p50 !== null || p99 !== null) return [`p50 ${time(p50)} · p99 ${time(p99)}`];
  return mean === null ? [] : [`mean ${time(mean)}`];
}

/** A moment of today. */
export const clock = (at: number) => new Date(at).toLocaleTimeString();

/** E.g. `v116 50 %, v117 50 %`. */
export const weightsInWords = (weights: Readonly<Record<string, number>>) =>
  Object.entries(weights)
    .map(([name, weight]) => `${name} ${weight} %`)
    .join(", ");

export const VERDICTS = {
  ok: "as weighted",
  off: "off its weight",
  settling: "settling",
  idle: "no requests",
} as const;

/** Reads HAProxy's histogram of response times, and compares it with what a client measured. */
import { expect } from "vitest";
import { RESPONSE_TIME } from "../../../haproxy/responseTimes.ts";

/** A request that a server answered. */
export interface Timed {
  /** Seconds that the server waited. */
  readonly atLeast: number;
  /** Seconds that the client waited, from before it connected. */
  readonly atMost: number;
}

/** Upper bound in seconds to the answers of all servers up to it. */
export type Buckets = ReadonlyMap<number, number>;

/** The buckets of an answer of /latency. */
export function bucketsOf(text: string): Buckets {
  const buckets = new Map<number, number>();
  for (const [, bound = "", count] of text.matchAll(
    new RegExp(`^${RESPONSE_TIME}_bucket\\{.*,le="(.+)"\\} (\\d+)$`, "gm"),
  )) {
    const le = bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound);
    buckets.set(le, (buckets.get(le) ?? 0) + Number(count));
  }
  expect(buckets.size, text).toBeGreaterThan(0);
  return buckets;
}

/** Expects these answers and no other in the buckets where their times may be. */
export function expectTimes(before: Buckets, after: Buckets, answers: readonly Timed[]): void {
  for (const [bound, count] of after) {
    const more = count - (before.get(bound) ?? 0);
    const among = (of: (answer: Timed) => number) => answers.filter((each) => of(each) <= bound).length;
    expect(more, `up to ${bound} s`).toBeGreaterThanOrEqual(among(({ atMost }) => atMost));
    expect(more, `up to ${bound} s`).toBeLessThanOrEqual(among(({ atLeast }) => atLeast));
  }
}

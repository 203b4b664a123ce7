/** Trials: tests that do something to a running lab, and count requests and leaks meanwhile. */
import { test } from "vitest";
import { RequestStream } from "../../../probe/stream.ts";
import type { TestLab } from "./harness.ts";

/** What a trial saw; one row of docs/reliability.md. */
export interface Sightings {
  /** Requests sent while it went on. */
  requests: number;
  /** Those of them that did not get the page. */
  failed: number;
  /** Things looked at that should be gone. */
  lookedAt: number;
  /** Those of them that are still there, by name. */
  leaks: string[];
}

declare module "vitest" {
  interface TaskMeta {
    trial?: Sightings;
  }
}

/**
 * A test that does something to a running lab, a fault or a change, and shows that it comes through. Whether
 * it passes, and what it saw, goes into docs/reliability.md under the title of its describe block.
 */
export function trial(name: string, run: (seen: Sightings) => Promise<unknown>, timeout?: number): void {
  test(
    name,
    async ({ task }) => {
      const seen: Sightings = { requests: 0, failed: 0, lookedAt: 0, leaks: [] };
      task.meta.trial = seen;
      await run(seen);
    },
    timeout,
  );
}

export interface Traffic {
  /** What the versions may answer meanwhile. */
  readonly pages: readonly string[];
  /** @default the page through the lab's load balancer */
  readonly url?: string;
  /** @default the host of the lab's own stack */
  readonly host?: string;
  /** Authorities in PEM, for https. @default Node's and the system's */
  readonly ca?: string;
  /** Requests a second. @default 100 */
  readonly rate?: number;
}

/**
 * Sends a steady stream of requests for as long as the action takes, and counts them.
 * @returns how often and when what went wrong, e.g. `timeout: 3 of 1200, sent 1.2 to 1.3 s after the first`:
 * expect none. That nothing was sent is a failure too.
 */
export async function duringTraffic(
  lab: TestLab,
  seen: Sightings,
  { pages, url = lab.url, host = "nginx.hung.org.hk", ca, rate = 100 }: Traffic,
  action: () => Promise<unknown>,
): Promise<string[]> {
  const stream = new RequestStream({
    url,
    host,
    ca,
    pages: Object.fromEntries(pages.map((page) => [page, page])),
    rate,
  }).start();
  const done = action();
  // The stream ends in any case; the action's own error is thrown after that.
  await done.catch(() => undefined);
  const answers = await stream.stop();
  await done;
  const failed = answers.filter(({ failure }) => failure !== undefined);
  seen.requests += answers.length;
  seen.failed += failed.length;
  if (answers.length === 0) return ["no request was sent"];
  const startedAt = answers[0]?.sentAt ?? 0;
  return Object.entries(Object.groupBy(failed, ({ failure }) => failure ?? "")).map(([why, such = []]) => {
    const [from, to] = [such[0], such.at(-1)].map((answer) => ((answer?.sentAt ?? 0) - startedAt) / 1000);
    return `${why}: ${such.length} of ${answers.length}, sent ${from} to ${to} s after the first`;
  });
}

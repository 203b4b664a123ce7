/** Trials: tests that change a running lab or make a fault, and count requests and leaks meanwhile. */
import { test } from "vitest";
import { RequestStream } from "../../../probe/stream.ts";
import { evidenceOf } from "./evidence.ts";
import type { TestLab } from "./harness.ts";

/** The result of a trial: one row of docs/reliability.md. */
export interface Sightings {
  /** Requests sent during the trial. */
  requests: number;
  /** Requests that did not get the page. */
  failed: number;
  /** Things that should be gone. */
  lookedAt: number;
  /** Things that are still there, by name. */
  leaks: string[];
}

declare module "vitest" {
  interface TaskMeta {
    trial?: Sightings;
  }
}

/**
 * A test that makes a fault or a change in a running lab, and shows that the lab survives it. Its result goes
 * into docs/reliability.md, under the title of its describe block.
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
  /** The pages that the versions can answer with. */
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
 * Sends a steady stream of requests during the action, and counts them.
 * @returns the failures, e.g. `timeout: 3 of 1200, sent 1.2 to 1.3 s after the first`, and then what the lab
 * looks like; no request at all is a failure too
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
  // The stream ends in any case. The action's own error is thrown after that.
  await done.catch(() => undefined);
  const answers = await stream.stop();
  await done;
  const failed = answers.filter(({ failure }) => failure !== undefined);
  seen.requests += answers.length;
  seen.failed += failed.length;
  if (answers.length === 0) return ["no request was sent"];
  if (failed.length === 0) return [];
  const startedAt = answers[0]?.sentAt ?? 0;
  const counts = Object.entries(Object.groupBy(failed, ({ failure }) => failure ?? "")).map(
    ([why, such = []]) => {
      const [from, to] = [such[0], such.at(-1)].map((answer) => ((answer?.sentAt ?? 0) - startedAt) / 1000);
      return `${why}: ${such.length} of ${answers.length}, sent ${from} to ${to} s after the first`;
    },
  );
  return [
    ...counts,
    `the first was sent at ${new Date(startedAt).toISOString()}`,
    ...(await evidenceOf(lab)),
  ];
}

/** Sends N requests, counts the versions that answered, and compares the counts with the weights. */
import { type Answer, Client, type Target } from "./client.ts";
import { judge } from "./verdict.ts";

export interface ProbeOptions extends Target {
  /** How many requests to send. */
  requests: number;
  /** How many at a time. @default 8 */
  concurrency?: number;
  /** Configured percent of each version. */
  weights: Record<string, number>;
  /** Ends the probe early. The result counts the answers until then. */
  signal?: AbortSignal;
}

/** What `--json` prints, with exactly these keys. */
export interface ProbeResult {
  /** Requests sent. */
  requests: number;
  /** Requests without a version's page. */
  failed: number;
  /** Answers by version; every known version has an entry. */
  served: Record<string, number>;
  /** The weights compared with, in percent. */
  weights: Record<string, number>;
  /** Shares within the bound of {@link judge}, and none failed. */
  ok: boolean;
}

/** Further figures of the report for people. */
export interface ProbeReport extends ProbeResult {
  /** Failed requests by reason. */
  failures: Record<string, number>;
}

/**
 * Sends the requests and counts. The probe ends early when none of the first requests reaches a server,
 * because N timeouts would take long and show no more. `requests` is then the number that was sent.
 *
 * @throws Error when two versions have the same page.
 */
export async function probe(options: ProbeOptions): Promise<ProbeReport> {
  const { requests, concurrency = 8, signal } = options;
  const client = new Client(options, concurrency);
  const answers: Answer[] = [];
  let sent = 0;
  let reached = false;

  async function worker(): Promise<void> {
    while (sent < requests && !signal?.aborted && (reached || answers.length < concurrency)) {
      sent++;
      const answer = await client.get();
      if (signal?.aborted) return;
      reached ||= answer.status !== undefined;
      answers.push(answer);
    }
  }

  const abort = (): void => void client.close();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await Promise.all(Array.from({ length: Math.min(concurrency, requests) }, worker));
  } finally {
    signal?.removeEventListener("abort", abort);
    await client.close();
  }
  return tally(answers, options);
}

/** Counts answers, from a probe or from any part of a stream of requests. */
export function tally(
  answers: Iterable<Answer>,
  { pages, weights }: Pick<ProbeOptions, "pages" | "weights">,
): ProbeReport {
  const served = Object.fromEntries(Object.keys(pages).map((version) => [version, 0]));
  const failures: Record<string, number> = {};
  let requests = 0;
  let failed = 0;
  for (const { version, failure } of answers) {
    requests++;
    if (version !== undefined) {
      served[version] = (served[version] ?? 0) + 1;
    } else {
      failed++;
      const reason = failure ?? "unknown";
      failures[reason] = (failures[reason] ?? 0) + 1;
    }
  }
  return { requests, failed, served, weights, ok: judge(served, weights, failed).ok, failures };
}

/** The part of a report that `--json` prints. */
export function resultOf({ requests, failed, served, weights, ok }: ProbeReport): ProbeResult {
  return { requests, failed, served, weights, ok };
}

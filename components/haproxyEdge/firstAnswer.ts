/** Ends a first update only when the page answers: a gateway knows pods a moment after they are ready. */
import { isIPv6 } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import type { Agent } from "undici";
import { wordsOf } from "../../clients/errorPage.ts";
import { type LoadBalancer, siteUrl } from "./config.ts";

export interface Page {
  /** Host header. */
  readonly host: string;
  /** The load balancer, and its ports for clients. */
  readonly machine: Pick<LoadBalancer, "host" | "ports">;
  /** True: by TLS. */
  readonly https: boolean;
}

/** What the wait found. */
export type Found =
  | { readonly answers: true }
  /** The last failure, such as `status 503: no healthy upstream` or `ECONNREFUSED`. */
  | { readonly answers: false; readonly reached: boolean; readonly failure: string };

/** So many answers in a row, each on a connection of its own: a version without pods would be among them. */
const IN_A_ROW = 20;
/** Milliseconds in which they have to come. */
const LIMIT_MS = 30_000;
/** Milliseconds after which a load balancer that this machine has not reached is left alone. */
const UNREACHED_MS = 5000;
/** Milliseconds for one answer. */
const ANSWER_MS = 2000;
/** Milliseconds after a failure. */
const PAUSE_MS = 50;

/**
 * Waits for the page once all that serves it is made; says what is wrong where it does not answer, which ends
 * no update. Does nothing in a preview, nor where a part was left out by `--target`.
 *
 * @param made resources, or outputs of them, that have to be there first
 */
export function awaitPage(page: Page, made: readonly pulumi.Output<unknown>[]): pulumi.Output<void> {
  return pulumi.all([...made]).apply(async (values: unknown[]) => {
    if (pulumi.runtime.isDryRun() || values.some((value) => !value)) return;
    const found = await firstAnswer(page, (failure) =>
      pulumi.log.info(`waiting for the page: ${failure}`, undefined, undefined, true),
    );
    if (!found.answers) await report(page, found);
  });
}

/**
 * @param waiting receives the failure, once a second
 * @returns as soon as the page has answered {@link IN_A_ROW} times, or when a limit has passed
 */
export async function firstAnswer(
  page: Page,
  waiting: (failure: string) => unknown,
  { limitMs = LIMIT_MS, unreachedMs = UNREACHED_MS } = {},
): Promise<Found> {
  // Loaded here: only a first update needs it.
  const { Agent, request } = await import("undici");
  const url = urlOf(page);
  const { host, https } = page;
  // Which authority has signed the certificate is for clients to judge.
  const tls = { rejectUnauthorized: false, servername: host };
  const dispatcher: Agent = new Agent({
    pipelining: 0,
    headersTimeout: ANSWER_MS,
    bodyTimeout: ANSWER_MS,
    connect: { timeout: ANSWER_MS, ...(https ? tls : {}) },
  });
  const start = performance.now();
  let reached = false;
  let said = start;
  try {
    for (let inARow = 0; ; ) {
      const failure = await failureOf(() => request(url, { dispatcher, headers: { host } }));
      reached ||= failure === undefined || failure.startsWith("status");
      inARow = failure === undefined ? inARow + 1 : 0;
      if (inARow === IN_A_ROW) return { answers: true };
      if (failure === undefined) continue;
      const now = performance.now();
      if (now - start > (reached ? limitMs : unreachedMs)) return { answers: false, reached, failure };
      if (now - said > 1000) {
        waiting(failure);
        said = now;
      }
      await delay(PAUSE_MS);
    }
  } finally {
    await dispatcher.destroy();
  }
}

/** Undefined for an answer of the application or of a policy in front of it. */
async function failureOf(
  send: () => Promise<{ statusCode: number; body: { text(): Promise<string> } }>,
): Promise<string | undefined> {
  try {
    const { statusCode, body } = await send();
    const text = await body.text();
    if (statusCode < 500 && statusCode !== 404) return undefined;
    return `status ${statusCode}${wordsOf(text)}`;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code?.endsWith("_TIMEOUT") ? "no answer" : (code ?? message);
  }
}

/** The page at the load balancer's own address, whatever the host's name resolves to. */
const urlOf = ({ machine: { host, ports }, https }: Page) =>
  siteUrl(isIPv6(host) ? `[${host}]` : host, ports, https);

function report(page: Page, { reached, failure }: Exclude<Found, { answers: true }>): Promise<void> {
  const url = urlOf(page);
  if (!reached)
    return pulumi.log.info(`${url} is not reached from this machine (${failure}); the page was not tried`);
  return pulumi.log.warn(
    `everything is made, but ${url} with Host ${page.host} does not answer: ${failure}. Pods that are not ` +
      "ready: kubectl get pods --all-namespaces",
  );
}

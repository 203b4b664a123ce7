/** A closed loop of requests: each client sends its next request when it has its answer. */
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "undici";
import { wordsOf } from "../clients/errorPage.ts";

export interface LoopOptions {
  /** Host header. @default the URL's own host */
  readonly host?: string;
  /** The right answers, without white space at the end. */
  readonly pages: readonly string[];
  /** Clients that keep their connection. @default 0 */
  readonly kept?: number;
  /** Clients that open a connection for each request. @default 0 */
  readonly fresh?: number;
  /** Milliseconds that a client waits after each answer. @default 0 */
  readonly pause?: number;
  /** Limit for connecting, and for each wait on the answer, in milliseconds. @default 60000 */
  readonly timeout?: number;
}

/**
 * Clients that send as many requests as the way to the page allows. Nothing is retried: an answer that is
 * none of the pages counts as failed, and so does a kept connection that is closed during a request.
 */
export class RequestLoop {
  sent = 0;
  failed = 0;
  /** Connections opened. */
  opened = 0;
  /** The longest wait for an answer. */
  slowestMs = 0;
  /** Failures by reason. */
  readonly failures: Record<string, number> = {};
  readonly #url: URL;
  readonly #options: LoopOptions;
  readonly #waiting: { sent: number; go: () => void }[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #over = false;

  constructor(url: string, options: LoopOptions) {
    this.#url = new URL(url);
    this.#options = options;
  }

  start(): this {
    const { kept = 0, fresh = 0 } = this.#options;
    // With a pipelining of 0, undici sends "connection: close".
    const clients = Array.from({ length: kept + fresh }, (_, i) => this.#client(i < kept ? 1 : 0));
    this.#running = Promise.all(clients.map((client) => this.#loop(client)));
    return this;
  }

  /** Resolves when so many requests have been sent. */
  reached(sent: number): Promise<void> {
    if (this.sent >= sent) return Promise.resolve();
    return new Promise((go) => this.#waiting.push({ sent, go }));
  }

  /**
   * Stops sending, and resolves when all requests are answered.
   *
   * @param seen counts to which this loop's are added
   * @returns the failures, e.g. `status 503: no healthy upstream: 3 of 1200`
   */
  async stop(seen?: { requests: number; failed: number }): Promise<string[]> {
    this.#over = true;
    await this.#running;
    if (seen) {
      seen.requests += this.sent;
      seen.failed += this.failed;
    }
    return Object.entries(this.failures).map(([why, count]) => `${why}: ${count} of ${this.sent}`);
  }

  #client(pipelining: number): Client {
    const { timeout = 60_000 } = this.#options;
    const client = new Client(this.#url.origin, {
      pipelining,
      keepAliveTimeout: timeout,
      connect: { timeout },
      headersTimeout: timeout,
      bodyTimeout: timeout,
    });
    client.on("connect", () => {
      this.opened++;
    });
    return client;
  }

  async #loop(client: Client): Promise<void> {
    const { pause = 0 } = this.#options;
    while (!this.#over) {
      this.sent++;
      const sentAt = performance.now();
      await this.#request(client).catch((error: Error & { code?: string }) => {
        const why = error.code ?? error.message;
        this.failures[why] = (this.failures[why] ?? 0) + 1;
        this.failed++;
      });
      this.slowestMs = Math.max(this.slowestMs, performance.now() - sentAt);
      if (pause > 0) await delay(pause);
      while (this.#waiting[0] && this.#waiting[0].sent <= this.sent) this.#waiting.shift()?.go();
    }
    await client.close();
  }

  async #request(client: Client): Promise<void> {
    const { host, pages } = this.#options;
    const headers = host === undefined ? {} : { host };
    const { statusCode, body } = await client.request({ method: "GET", path: this.#url.pathname, headers });
    const page = await body.text();
    if (statusCode !== 200) throw new Error(`status ${statusCode}${wordsOf(page)}`);
    if (!pages.includes(page.trimEnd())) throw new Error("unknown page");
  }
}

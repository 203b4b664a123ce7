/** A steady stream of requests: so many a second, also when answers are slow. */
import { type Answer, Client, type Target } from "./client.ts";

export interface StreamOptions extends Target {
  /** Requests a second. @default 200 */
  rate?: number;
  /** The most connections to open. @default 64 */
  connections?: number;
  /** How many of the newest answers to keep. @default all */
  keep?: number;
}

/**
 * Sends at a fixed pace from {@link start} to {@link stop} and records each answer. It is an open loop: a
 * slow answer delays no other request, so a stall shows as late and failed answers and not as fewer requests.
 */
export class RequestStream {
  readonly #client: Client;
  #rate: number;
  readonly #keep: number;
  readonly #underWay = new Set<Promise<void>>();
  #answers: Answer[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** The pace counts from here: the moment, and the requests sent until then. */
  #pace = { since: 0, sent: 0 };
  #sent = 0;

  constructor(options: StreamOptions) {
    this.#client = new Client(options, options.connections ?? 64);
    this.#rate = options.rate ?? 200;
    this.#keep = options.keep ?? Number.POSITIVE_INFINITY;
  }

  /** The answers so far, in the order of sending. */
  get answers(): Answer[] {
    return this.#answers.toSorted((a, b) => a.sentAt - b.sentAt);
  }

  /** Requests sent so far. */
  get sent(): number {
    return this.#sent;
  }

  start(): this {
    this.#pace.since = performance.now();
    this.#sendDue();
    return this;
  }

  /** Goes on at another pace, in requests a second. Has an effect only between start and stop. */
  changeRate(rate: number): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#rate = rate;
    this.#pace = { since: performance.now(), sent: this.#sent };
    this.#sendDue();
  }

  /** Stops sending, waits for the outstanding answers, and returns all that are kept. */
  async stop(): Promise<Answer[]> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await Promise.all(this.#underWay);
    await this.#client.close();
    return this.answers;
  }

  /**
   * Sends the requests that are due, several after a stall of this process, then sleeps until the next one is
   * due.
   */
  #sendDue(): void {
    const { since, sent } = this.#pace;
    const elapsed = performance.now() - since;
    const due = sent + 1 + Math.floor((elapsed * this.#rate) / 1000);
    while (this.#sent < due) this.#send();
    this.#timer = setTimeout(() => this.#sendDue(), ((this.#sent - sent) * 1000) / this.#rate - elapsed);
  }

  #send(): void {
    this.#sent++;
    const request = this.#client.get().then((answer) => {
      this.#underWay.delete(request);
      this.#answers.push(answer);
      if (this.#answers.length > 2 * this.#keep) this.#answers = this.#answers.slice(-this.#keep);
    });
    this.#underWay.add(request);
  }
}

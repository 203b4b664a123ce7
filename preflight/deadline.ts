/** A time limit that can be extended while it runs. */
export class Deadline {
  readonly #ended = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number) {
    this.#arm(limitMs);
  }

  /** Aborted when the time is over. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Starts the time again. */
  restart(limitMs: number): void {
    this.#arm(limitMs);
  }

  /** Ends the limit: the signal then never aborts. */
  clear(): void {
    clearTimeout(this.#timer);
  }

  #arm(limitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ended.abort(new DOMException("", "TimeoutError")), limitMs);
  }
}

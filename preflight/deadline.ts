/** A time limit that each answer starts again, up to a limit for all. */
export class Deadline {
  readonly #ended = new AbortController();
  readonly #mostMs: number;
  #limitMs: number;
  #latest: number;
  #timer: NodeJS.Timeout | undefined;

  /** @param mostMs how far {@link extend} moves the end at most, from the beginning */
  constructor(limitMs: number, mostMs = limitMs) {
    this.#mostMs = mostMs;
    this.#limitMs = limitMs;
    this.#latest = performance.now() + mostMs;
    this.#arm(limitMs);
  }

  /** Aborted when the time is over. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Begins anew, with this limit. */
  restart(limitMs: number): void {
    this.#limitMs = limitMs;
    this.#latest = performance.now() + Math.max(limitMs, this.#mostMs);
    this.#arm(limitMs);
  }

  /** Starts the time again after an answer. */
  extend(): void {
    if (this.#timer === undefined) return;
    this.#arm(Math.min(this.#limitMs, this.#latest - performance.now()));
  }

  /** Ends the limit: the signal then never aborts. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(limitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ended.abort(new DOMException("", "TimeoutError")), limitMs);
  }
}

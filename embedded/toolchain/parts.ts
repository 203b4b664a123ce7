/** Chooses for each part of the toolchain: the official artifact, or a build on this host. */
import { LabError } from "../../clients/process.ts";
import { Unavailable } from "./official/source.ts";

/** The user's choice of where parts come from. */
export type From = "official" | "build";

/** What a part is, as `./lab status` shows it. */
export interface Part {
  readonly part: string;
  readonly official: boolean;
  /** The reason for which it is not the official one. */
  readonly why?: string;
}

/** The choices of one run, in their order. */
export class Parts {
  readonly #from: From | undefined;
  readonly #parts: Part[] = [];

  /** @param from by default official where that is within reach */
  constructor(from?: From) {
    this.#from = from;
  }

  get list(): readonly Part[] {
    return this.#parts;
  }

  /**
   * Gets the official artifact, or builds the part where that is out of reach.
   *
   * @throws LabError when only the official one is wanted and is out of reach
   */
  async choose<T>(
    part: string,
    { official, build }: { official: () => Promise<T>; build: () => Promise<T> },
  ): Promise<{ value: T; official: boolean }> {
    if (this.#from === "build") return this.#built(part, "--from build", build);
    try {
      const value = await official();
      this.#parts.push({ part, official: true });
      return { value, official: true };
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      if (this.#from === "official")
        throw new LabError(
          `${part}: the official one is out of reach: ${error.message}. ` +
            "Without --from official it is built here; behind a firewall, set LAB_MIRROR to a mirror",
        );
      return this.#built(part, error.message, build);
    }
  }

  async #built<T>(
    part: string,
    why: string,
    build: () => Promise<T>,
  ): Promise<{ value: T; official: boolean }> {
    const value = await build();
    this.#parts.push({ part, official: false, why });
    return { value, official: false };
  }
}

/** Runs pieces of work one at a time, the lowest rank first. Each uses all cores. */
export class Turns {
  readonly #waiting: { rank: number; start: () => void }[] = [];
  #busy = false;

  async take<T>(rank: number, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((start) => {
      this.#waiting.push({ rank, start });
      // Work that arrives in the same turn of the event loop competes by rank.
      setImmediate(() => this.#next());
    });
    try {
      return await work();
    } finally {
      this.#busy = false;
      this.#next();
    }
  }

  #next(): void {
    if (this.#busy || this.#waiting.length === 0) return;
    this.#waiting.sort((a, b) => a.rank - b.rank);
    this.#busy = true;
    this.#waiting.shift()?.start();
  }
}

/** What is wrong with the user's settings or machines, collected and reported at once. */

/** One thing that is wrong. */
export interface Fault {
  /** Path of the key, e.g. `versions[1].image`; empty where no key is at fault. */
  readonly key: string;
  /** One line: key or place, value, what would be right. */
  readonly message: string;
}

/** Collects faults. */
export type Faults = Fault[];

/** How slow this machine is, for time limits. */

/** Milliseconds within which an ordinary machine loads the program: three times 0.6 s, with empty caches. */
const ORDINARY_START_MS = 2000;

/**
 * How many times slower than an ordinary machine this one is, at least 1. Its own slowness must not count as
 * the silence of others, which often run on it.
 *
 * @param startMs from the start of the process to the preflight
 */
export function slownessAfter(startMs: number): number {
  return Math.max(1, startMs / ORDINARY_START_MS);
}

/** How long the end-to-end tests wait for a condition. */

/** For `expect.poll`: a busy host takes a minute for what takes seconds, and no test asserts a time. */
export const SOON = { timeout: 150_000, interval: 250 } as const;

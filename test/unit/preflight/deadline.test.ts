/** Tests of preflight/deadline.ts. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Deadline } from "../../../preflight/deadline.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Has an answer every 4 s; returns the seconds until the deadline, at most 100. */
function secondsOf(deadline: Deadline, answers: number): number {
  for (let second = 1; second <= 100; second++) {
    vi.advanceTimersByTime(1000);
    if (deadline.signal.aborted) return second;
    if (second % 4 === 0 && second / 4 <= answers) deadline.extend();
  }
  return 100;
}

it("ends where nothing answers", () => {
  expect(secondsOf(new Deadline(9000, 60_000), 0)).toBe(9);
});

it("starts again with each answer, up to the limit for all", () => {
  expect(secondsOf(new Deadline(9000, 60_000), 3)).toBe(12 + 9);
  expect(secondsOf(new Deadline(9000, 60_000), 100)).toBe(60);
});

it("has another limit while a plugin is waited for", () => {
  const deadline = new Deadline(9000, 60_000);
  deadline.restart(90_000);
  expect(secondsOf(deadline, 0)).toBe(90);
});

it("never ends once it is cleared, also when an answer comes late", () => {
  const deadline = new Deadline(9000, 60_000);
  deadline.clear();
  expect(secondsOf(deadline, 3)).toBe(100);
});

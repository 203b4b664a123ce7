/** Tests of embedded/host/lock.ts. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { withLock } from "../../../../embedded/host/lock.ts";

const flock = !(await execa("flock", ["--version"], { reject: false })).failed;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "istio-lab-lock-"));
});
afterEach(() => rm(dir, { recursive: true }));

test.skipIf(!flock)("(needs flock) the second waits for the first, and reports it", async () => {
  const file = join(dir, "lock");
  const order: string[] = [];
  const waiting = vi.fn();
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let started = () => {};
  const holding = new Promise<void>((resolve) => {
    started = resolve;
  });
  const first = withLock(file, vi.fn(), async () => {
    started();
    await finished;
    order.push("first");
  });
  await holding;
  const second = withLock(file, waiting, async () => order.push("second"));
  await vi.waitFor(() => expect(waiting).toHaveBeenCalledOnce(), 5000);
  finish();
  await Promise.all([first, second]);
  expect(order).toEqual(["first", "second"]);
});

test.skipIf(!flock)("(needs flock) one that will not wait is refused", async () => {
  const file = join(dir, "lock");
  await withLock(file, vi.fn(), async () => {
    const refuse = () => {
      throw new Error("held by another");
    };
    await expect(withLock(file, refuse, async () => "done")).rejects.toThrow("held by another");
  });
});

test.skipIf(!flock)("(needs flock) the holder reports no wait, however long the work takes", async () => {
  const waiting = vi.fn();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    await withLock(join(dir, "lock"), waiting, async () => vi.advanceTimersByTime(60_000));
  } finally {
    vi.useRealTimers();
  }
  expect(waiting).not.toHaveBeenCalled();
});

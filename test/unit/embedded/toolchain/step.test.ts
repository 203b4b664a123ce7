/** Tests of embedded/toolchain/step.ts. */
import { Listr } from "listr2";
import { expect, test } from "vitest";
import { type Step, step } from "../../../../embedded/toolchain/step.ts";

const runAll = (...steps: Step<unknown>[]) =>
  new Listr(
    steps.map(({ task }) => task),
    { renderer: "silent", concurrent: true },
  ).run();

test("a step waits for the result of another that runs beside it", async () => {
  const first = step("first", async () => 20);
  const second = step("second", async () => (await first.result) + 1);
  await runAll(second, first);
  expect(await second.result).toBe(21);
});

test("a step that fails rejects its result and the list, with the same error", async () => {
  const fails = step("fails", async () => {
    throw new Error("no room");
  });
  await expect(runAll(fails)).rejects.toThrow("no room");
  await expect(fails.result).rejects.toThrow("no room");
});

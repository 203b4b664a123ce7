/** Tests of embedded/host/logRenderer.ts. */
import { Listr } from "listr2";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LogRenderer } from "../../../../embedded/host/logRenderer.ts";
import { group } from "../../../../embedded/host/progress.ts";

const CLOCK = ["setTimeout", "clearTimeout", "performance"] as const;
beforeEach(() => void vi.useFakeTimers({ toFake: [...CLOCK] }));
afterEach(() => void vi.useRealTimers());

const takes = (ms: number) => () => vi.advanceTimersByTimeAsync(ms);

/** What a run of the tasks prints. */
async function printed(tasks: ConstructorParameters<typeof Listr>[0]): Promise<string[]> {
  const lines: string[] = [];
  const rendererOptions = { write: (line: string) => lines.push(line) };
  const options = { renderer: LogRenderer, rendererOptions, registerSignalListeners: false };
  await new Listr(tasks, options as ConstructorParameters<typeof Listr>[1]).run().catch(() => undefined);
  return lines;
}

test("idle steps leave one line for their group", async () => {
  const steps = [
    { title: "network", task: takes(5) },
    { title: "nodes", task: takes(900) },
  ];
  expect(await printed([group("machines", steps), { title: "stack", task: takes(100) }])).toEqual([
    "✔ machines [0.9s]",
    "✔ stack [0.1s]",
  ]);
});

test("a step that takes time is announced, and ends with its duration", async () => {
  const steps = [
    { title: "network", task: takes(5) },
    { title: "nodes", task: takes(2500) },
  ];
  expect(await printed([group("machines", steps)])).toEqual([
    "❯ nodes",
    "✔ nodes [2.5s]",
    "✔ machines [2.5s]",
  ]);
});

test("what a step reports is shown under its title at once", async () => {
  const building = {
    title: "binaries",
    task: async (_: unknown, task: { output: string }) => {
      task.output = "12 of 40 packages";
    },
  };
  expect(await printed([group("toolchain", [building])])).toEqual([
    "❯ binaries",
    "› 12 of 40 packages",
    "✔ binaries [0.0s]",
    "✔ toolchain [0.0s]",
  ]);
});

test("a step that fails is named, however short it was", async () => {
  const failing = { title: "certificates", task: () => Promise.reject(new Error("no openssl")) };
  expect(await printed([group("machines", [failing])])).toEqual(["✖ certificates", "✖ machines"]);
});

/** Tests of embedded/toolchain/official/reach.ts. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, test, vi } from "vitest";
import { remembering } from "../../../../../embedded/toolchain/official/reach.ts";
import { type Scope, Unavailable } from "../../../../../embedded/toolchain/official/source.ts";
import { useOwnCache } from "../../../../support/ownCache.ts";

const HOUR = 3_600_000;

const ownCache = useOwnCache();

function failing(scope: Scope) {
  return {
    open: vi.fn(async (path: string) => {
      throw new Unavailable(`${path} failed`, scope);
    }),
  };
}

test("a host that failed gets no request for a day, for none of its files", async () => {
  const source = failing("host");
  let time = 1e12;
  const now = () => time;
  await expect(remembering(source, { now }).open("a.example/x")).rejects.toThrow("failed");
  const later = remembering(source, { now });
  await expect(later.open("a.example/y")).rejects.toThrow("a.example/x failed");
  expect(source.open).toHaveBeenCalledTimes(1);
  await expect(later.open("b.example/x")).rejects.toThrow("b.example/x failed");
  expect(source.open).toHaveBeenCalledTimes(2);
  time += 25 * HOUR;
  await expect(later.open("a.example/y")).rejects.toThrow("a.example/y failed");
  expect(source.open).toHaveBeenCalledTimes(3);
});

test("a file that is not there is remembered alone", async () => {
  const source = failing("file");
  const original = remembering(source);
  for (const path of ["a.example/x", "a.example/x", "a.example/y"])
    await expect(original.open(path)).rejects.toThrow(`${path} failed`);
  expect(source.open).toHaveBeenCalledTimes(2);
});

test("two sources that fail at the same time both remember it", async () => {
  const sources = ["a.example/x", "b.example/x"].map((path) => ({
    path,
    source: remembering(failing("host")),
  }));
  await Promise.allSettled(sources.map(({ path, source }) => source.open(path)));
  const memory = await readFile(join(ownCache(), "istio-lab", "unavailable.json"), "utf8");
  expect(Object.keys(JSON.parse(memory))).toEqual(["a.example", "b.example"]);
});

test("a busy host is tried again", async () => {
  const source = failing("request");
  const original = remembering(source);
  for (const _ of [1, 2]) await expect(original.open("a.example/x")).rejects.toThrow();
  expect(source.open).toHaveBeenCalledTimes(2);
});

test("--from official does not wait for the day to pass", async () => {
  await expect(remembering(failing("host")).open("a.example/x")).rejects.toThrow();
  const answer = { open: vi.fn(async () => ({ body: Readable.from(["x"]), offset: 0, headers: {} })) };
  await remembering(answer, { anew: true }).open("a.example/x");
  expect(answer.open).toHaveBeenCalledTimes(1);
});

test("one run tries once, with --from official too", async () => {
  const source = failing("host");
  const original = remembering(source, { anew: true });
  for (const path of ["a.example/x", "a.example/y"])
    await expect(original.open(path)).rejects.toThrow("a.example/x failed");
  expect(source.open).toHaveBeenCalledTimes(1);
});

/** Tests of embedded/toolchain/cache/cache.ts. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { cached } from "../../../../../embedded/toolchain/cache/cache.ts";
import { useOwnCache } from "../../../../support/ownCache.ts";

const ownCache = useOwnCache();

const entry = (name: string, ingredients: string[], room = 1) => ({ kind: "bin", name, ingredients, room });
const fill = (content: string) => vi.fn(async (into: string) => writeFile(join(into, "file"), content));

test("the same ingredients are made once", async () => {
  const make = fill("one");
  const first = await cached(entry("tool", ["v1", "flags"]), make);
  expect(await cached(entry("tool", ["v1", "flags"]), make)).toBe(first);
  expect(make).toHaveBeenCalledOnce();
  expect(await readFile(join(first, "file"), "utf8")).toBe("one");
});

test("another ingredient makes it anew, and the older goes", async () => {
  const older = await cached(entry("tool", ["v1"]), fill("one"));
  const newer = await cached(entry("tool", ["v2"]), fill("two"));
  expect(await readFile(join(newer, "file"), "utf8")).toBe("two");
  expect(existsSync(older)).toBe(false);
});

test("an entry whose name only begins the same stays", async () => {
  const neighbour = await cached(entry("tool-kit", ["v1"]), fill("kit"));
  await cached(entry("tool", ["v1"]), fill("one"));
  await cached(entry("tool", ["v2"]), fill("two"));
  expect(existsSync(neighbour)).toBe(true);
});

test("an entry that failed half-way does not count as made", async () => {
  const fails = async (into: string) => {
    await writeFile(join(into, "half"), "");
    throw new Error("interrupted");
  };
  await expect(cached(entry("tool", ["v1"]), fails)).rejects.toThrow("interrupted");
  const whole = await cached(entry("tool", ["v1"]), fill("whole"));
  expect(existsSync(join(whole, "half"))).toBe(false);
  expect(await readFile(join(whole, "file"), "utf8")).toBe("whole");
});

test("nothing starts where the disk is full", async () => {
  const make = fill("one");
  const made = cached(entry("tool", ["v1"], 1e9), make);
  await expect(made).rejects.toThrow(
    /^the disk is too full: \S+\/istio-lab\/bin needs 1000000000 MB, .* XDG_CACHE_HOME/,
  );
  expect(make).not.toHaveBeenCalled();
  expect(existsSync(join(ownCache(), "istio-lab"))).toBe(false);
});

/** Tests of embedded/toolchain/toolchain.ts. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { runTasks } from "../../../../embedded/host/progress.ts";
import { PROGRAM } from "../../../../embedded/lab/stack.ts";
import type { Entry } from "../../../../embedded/toolchain/cache/cache.ts";
import { ensureToolchain } from "../../../../embedded/toolchain/toolchain.ts";

const entries = vi.hoisted(() => new Map<string, Entry>());
vi.mock("../../../../embedded/toolchain/cache/cache.ts", async (original) => ({
  ...(await original<object>()),
  // Each entry exists already; the test compares its key.
  cached: async (entry: Entry) => {
    entries.set(`${entry.kind}/${entry.name}`, entry);
    return `/cache/${entry.kind}/${entry.name}`;
  },
}));

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "istio-lab-toolchain-"));
  vi.stubEnv("XDG_CACHE_HOME", home);
  entries.clear();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

test("a second checkout shares everything: no key of the cache names this one", async () => {
  const tools = await ensureToolchain((tasks) => runTasks(tasks, { quiet: true }), vi.fn(), {
    from: "build",
    monitoring: true,
    tracing: true,
  });
  expect([...entries.keys()].sort()).toEqual([
    ...["bin/coredns", "bin/istio", "bin/kubernetes", "bin/prometheus", "bin/pulumi", "bin/wheels"],
    ...["bin/zipkin", "images/coredns", "images/nginx", "images/pause", "images/pilot", "images/prometheus"],
    ...["images/proxyv2", "images/store-monitoring-tracing", "images/zipkin"],
    ...["roots/images", "roots/load-balancer", "roots/monitoring", "roots/node"],
  ]);
  for (const { name, ingredients } of entries.values())
    expect(ingredients.filter((ingredient) => ingredient.includes(PROGRAM), name)).toEqual([]);
  expect(JSON.stringify(tools)).not.toContain(PROGRAM);
});

/** Tests of embedded/toolchain/go/prometheus: its own program, in front of a script in Prometheus' place. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parse } from "yaml";
import { prometheusConfig } from "../../../../../components/monitoring/scrape.ts";
import { goBinaries } from "../../../../../embedded/toolchain/go/go.ts";
import { PROMETHEUS } from "../../../../../embedded/toolchain/go/modules.ts";

/** `./lab test` installs promtool and builds the program; `npm test` alone skips the tests that need them. */
const without = spawnSync("promtool", ["--version"]).error !== undefined;
const SOON = { timeout: 20_000, interval: 50 };

const CONFIG = prometheusConfig({
  namespaces: ["shop", "istio-ingress"],
  gateway: { namespace: "istio-ingress", service: "ingress" },
  istiodNamespace: "istio-system",
  scrapeSeconds: 2,
  haproxy: { address: "[fd00::1]:8404", responseTimes: ["/latency", "/latency/2"] },
  standIn: true,
});
const RULES = "groups: []\n";

let home: string;
const cleanups: (() => unknown)[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "istio-lab-prometheus-"));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  await rm(home, { recursive: true });
});

const text = (...path: string[]) => readFile(join(home, ...path), "utf8");

/** Files as a ConfigMap has them in a pod: links into a directory that begins with two dots. */
async function mountConfig(): Promise<void> {
  await mkdir(join(home, "etc/..data"), { recursive: true });
  for (const [name, content] of Object.entries({ "prometheus.yml": CONFIG, "rules.yml": RULES })) {
    await writeFile(join(home, "etc/..data", name), content);
    await symlink(`..data/${name}`, join(home, "etc", name));
  }
}

/** Starts the program, and resolves when it has started what stands in for Prometheus. */
async function start() {
  await mountConfig();
  await mkdir(join(home, "data"));
  const script = `#!/bin/sh
trap 'echo reloaded >>${home}/reloads' HUP
trap 'exit 7' TERM
echo "$*" >${home}/arguments
while :; do sleep 0.05; done
`;
  await writeFile(join(home, "stand-in"), script, { mode: 0o755 });
  const program = join(await goBinaries(PROMETHEUS, () => undefined), "prometheus");
  const flags = [`--config.file=${home}/etc/prometheus.yml`, `--storage.tsdb.path=${home}/data`, "--other=1"];
  const running = execa(program, flags, {
    env: { LAB_PROMETHEUS: join(home, "stand-in") },
    reject: false,
  });
  cleanups.push(async () => {
    running.kill("SIGTERM");
    await running;
  });
  await expect.poll(() => existsSync(join(home, "arguments")), SOON).toBe(true);
  return { running };
}

interface Scrape {
  readonly job_name: string;
  readonly kubernetes_sd_configs?: object;
  readonly http_sd_configs?: readonly { readonly url: string }[];
}

const scrapes = (yaml: string) => (parse(yaml) as { scrape_configs: Scrape[] }).scrape_configs;

test.skipIf(without)("Kubernetes discovery becomes HTTP discovery of the same namespaces", async () => {
  await start();
  const translated = await text("data/.config/prometheus.yml");
  const found = scrapes(translated).map(({ http_sd_configs, ...rest }) => {
    const urls = http_sd_configs?.map(({ url }) => new URL(url).searchParams.getAll("namespace"));
    return { namespaces: urls?.[0], rest };
  });
  expect(found.map(({ namespaces }) => namespaces)).toEqual(
    [["shop", "istio-ingress"], ...Array<undefined>(4)].map((namespaces, index) =>
      index === 1 ? ["istio-system"] : namespaces,
    ),
  );
  // Nothing else is changed.
  const original = scrapes(CONFIG).map(({ kubernetes_sd_configs: _, ...rest }) => rest);
  expect(found.map(({ rest }) => rest)).toEqual(original);
  const { status, stdout, stderr } = spawnSync(
    "promtool",
    ["check", "config", join(home, "data/.config/prometheus.yml")],
    { encoding: "utf8" },
  );
  expect([status, stdout + stderr]).toEqual([0, expect.stringContaining("SUCCESS")]);
});

test.skipIf(without)("Prometheus gets the translated file and every other flag", async () => {
  await start();
  expect((await text("arguments")).trim()).toBe(
    `--config.file=${home}/data/.config/prometheus.yml --storage.tsdb.path=${home}/data --other=1`,
  );
});

test.skipIf(without)("a changed file is a reload, once; equal files are none", async () => {
  await start();
  const reloads = async () => (await text("reloads").catch(() => "")).split("\n").filter(Boolean).length;
  // The same text again, as when a ConfigMap is mounted again.
  await writeFile(join(home, "etc/..data/rules.yml"), RULES);
  await writeFile(join(home, "etc/..data/prometheus.yml"), CONFIG.replace("interval: 2s", "interval: 5s"));
  await expect.poll(reloads, SOON).toBe(1);
  expect(await text("data/.config/prometheus.yml")).toContain("scrape_interval: 5s");
  await writeFile(join(home, "etc/..data/rules.yml"), "groups: [] # new\n");
  await expect.poll(reloads, SOON).toBe(2);
  expect(await text("data/.config/rules.yml")).toBe("groups: [] # new\n");
});

test.skipIf(without)("a signal and the exit code pass through", async () => {
  const { running } = await start();
  running.kill("SIGTERM");
  expect((await running).exitCode).toBe(7);
});

test.skipIf(without)(
  "pods that cannot be listed are an error, so that Prometheus keeps its targets",
  async () => {
    await start();
    const [proxies] = scrapes(await text("data/.config/prometheus.yml"));
    const answer = await fetch(proxies?.http_sd_configs?.[0]?.url ?? "");
    expect(answer.status).toBe(502);
  },
);

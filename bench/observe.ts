/**
 * What monitoring and tracing of every request cost, on labs of its own:
 *
 *     node bench/observe.ts --write
 *
 * `./lab up` from nothing without and with both, in turn; then the same requests through one lab with both on
 * and both off, in turn; then the time from a change of the weights to the dashboard's picture of it. It
 * takes seven minutes on a host that does nothing else. Progress goes to stderr, the tables to stdout.
 */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Command } from "commander";
import { execa } from "execa";
import type { KubernetesApi } from "../clients/kubernetes.ts";
import type { Picture } from "../dashboard/picture.ts";
import { instance } from "../embedded/host/instance.ts";
import { connectToCluster, useLabTools } from "../embedded/lab/stack.ts";
import { closedLoop, openLoop, type Page } from "./load.ts";
import { describeMachine } from "./machine.ts";
import { type Loads, type Results, type Round, renderObserve } from "./observeTable.ts";
import { note, timed } from "./timed.ts";

const ROOT = join(import.meta.dirname, "..");
const DOCUMENT = join(ROOT, "docs/benchmarks-observability.md");
const lab = instance("bench-observe");
const page: Page = {
  url: `http://${lab.loadBalancer.address}/echo/test.txt`,
  host: "nginx.hung.org.hk",
};
/** Number of clients without a pause, requests a second at a steady pace, seconds of each load. */
const CLIENTS = 8;
const PACE = 100;
const SECONDS = 8;

interface Size {
  readonly ups: number;
  readonly rounds: number;
  readonly changes: number;
}

await new Command("bench/observe")
  .description("what monitoring and tracing of every request cost, on labs of its own")
  .option("--ups <number>", "pairs of `./lab up` from nothing", Number, 2)
  .option("--rounds <number>", "pairs of loads, with both on and off", Number, 3)
  .option("--changes <number>", "changes of the weights that the page shows", Number, 4)
  .option("--write", "write docs/benchmarks-observability.md")
  .action(async ({ write, ...size }: Size & { write?: true }) => {
    try {
      const tables = renderObserve(await measure(size));
      console.log(tables);
      if (write) await writeFile(DOCUMENT, document(tables));
    } finally {
      await run("down", "--fast", "--quiet");
    }
  })
  .parseAsync();

async function measure({ ups, rounds, changes }: Size): Promise<Results> {
  const up: Results["up"] & { on: number[]; off: number[] } = { on: [], off: [] };
  for (let i = 1; i <= ups; i++) {
    await run("down", "--fast", "--quiet");
    up.off.push(await timed(`up ${i} of ${ups}, off`, () => run("up", "--no-monitoring"), 1));
    await run("down", "--fast", "--quiet");
    up.on.push(await timed(`up ${i} of ${ups}, on`, () => run("up"), 1));
  }
  useLabTools(lab);
  const shown = await measurePage(changes);
  return { up, rounds: await measureRounds(rounds), page: shown };
}

/**
 * The order is on off, off on, on off …: neighbours in time are compared, and every second switch is saved.
 */
async function measureRounds(count: number): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let i = 1; i <= count; i++) {
    const order = i % 2 === 1 ? (["on", "off"] as const) : (["off", "on"] as const);
    const round: Partial<Record<"on" | "off", Loads>> = {};
    for (const [index, state] of order.entries()) {
      if (index === 1) await turn(state);
      round[state] = await measureLoads(`round ${i} of ${count}, ${state}`);
    }
    rounds.push(round as Round);
  }
  return rounds;
}

async function turn(state: "on" | "off"): Promise<void> {
  const on = state === "on";
  await pulumi("config", "set", "--path", "monitoring.enabled", String(on));
  if (on) await pulumi("config", "set", "--path", "tracing.provider", "zipkin");
  else await pulumi("config", "rm", "--path", "tracing.provider");
  await timed(`switched ${state}`, () => pulumi("up", "--yes", "--skip-preview"), 1);
}

async function measureLoads(label: string): Promise<Loads> {
  await closedLoop(page, CLIENTS, 2);
  const closed = await closedLoop(page, CLIENTS, SECONDS);
  const open = await openLoop(page, PACE, SECONDS);
  note(`${label}: ${Math.round(closed.ms.length / closed.seconds)} requests a second`);
  return { closed, open };
}

/** Changes the weights in the cluster itself, and reads the picture as often as it is measured. */
async function measurePage(count: number): Promise<Results["page"]> {
  const dashboard = execa(join(ROOT, "lab"), ["dashboard", "--name", lab.name, "--port", "0"]);
  const api = await connectToCluster(lab);
  const load = new AbortController();
  const requests = keepLoaded(load.signal);
  try {
    // Rejects when the dashboard ends before its first line.
    const first = await Promise.race([once(dashboard.stdout, "data"), dashboard]);
    const pictureUrl = new URL("picture.json", String(Array.isArray(first) ? first[0] : "").trim());
    const result: { weights: number[]; shares: number[] } = { weights: [], shares: [] };
    for (let i = 1; i <= count; i++) {
      const weights = i % 2 === 1 ? { v116: 90, v117: 10 } : { v116: 50, v117: 50 };
      await changeWeights(api, weights);
      const start = performance.now();
      const since = async (agrees: (versions: Picture["versions"]) => boolean) => {
        while (!agrees(await versionsOf(pictureUrl))) await delay(50);
        return performance.now() - start;
      };
      const wanted = (versions: Picture["versions"]) =>
        versions.length > 0 &&
        versions.every(({ name, weight }) => weight === weights[name as keyof typeof weights]);
      result.weights.push(await since(wanted));
      result.shares.push(
        await since((versions) => wanted(versions) && versions.every(({ verdict }) => verdict === "ok")),
      );
      note(`change ${i} of ${count}: shares agree after ${Math.round(result.shares.at(-1) ?? 0)} ms`);
    }
    return result;
  } finally {
    load.abort();
    await requests;
    await api.close();
    dashboard.kill("SIGINT");
    await dashboard.catch(() => undefined);
  }
}

async function keepLoaded(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await openLoop(page, PACE, 1);
}

async function versionsOf(url: URL): Promise<Picture["versions"]> {
  const { picture } = (await (await fetch(url)).json()) as { picture?: Picture };
  return picture?.versions ?? [];
}

interface VirtualService {
  readonly spec: {
    readonly http: readonly {
      readonly route: { readonly destination: { readonly subset: string }; weight?: number }[];
    }[];
  };
}

async function changeWeights(api: KubernetesApi, weights: Readonly<Record<string, number>>): Promise<void> {
  const path = "/apis/networking.istio.io/v1/namespaces/default/virtualservices/nginx";
  const found = await api.get<VirtualService>(path);
  const http = found?.spec.http ?? [];
  for (const route of http.flatMap((one) => (one.route.length > 1 ? one.route : [])))
    route.weight = weights[route.destination.subset] ?? 0;
  await api.patch(path, "merge", { spec: { http } });
}

function run(command: string, ...args: string[]) {
  return execa(join(ROOT, "lab"), [command, "--name", lab.name, ...args], { stdin: "ignore" });
}

function pulumi(...args: string[]) {
  return run("pulumi", ...args);
}

function document(tables: string): string {
  return `# What metrics and traces cost

\`monitoring\` with a scrape every 2 s and \`tracing\` of every request, both on and both off in turn, on an
embedded lab: the proxies, Prometheus, Zipkin, HAProxy and the clients share its host's cores. ${CLIENTS}
clients send without a pause; the steady pace is ${PACE} requests a second. The ratio is the median of the
rounds' ratios, on divided by off. The weights are changed in the cluster itself, and the dashboard is read
as its page reads it. The rates of the picture are of the last 10 s, so that shares agree when that window
holds requests of the new weights alone. Made by \`node bench/observe.ts --write\`.

${describeMachine()}.

${tables}
`;
}

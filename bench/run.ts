/**
 * The same work by hand (byHand.sh) and by the Pulumi program, on one cluster, in turn: A B A B. Run it on an embedded lab that is up:
 *
 *     eval "$(./lab env)" && node bench/run.ts --rounds 3
 *
 * It takes the stack down first and leaves it up. Progress goes to stderr, the table or `--json` to stdout.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Command } from "commander";
import { execa } from "execa";
import { stringify } from "yaml";
import { type Page, pageAt, readOutputs } from "../outputs.ts";
import { Client } from "../probe/client.ts";
import { tally } from "../probe/probe.ts";
import { observeShift } from "../probe/shift/shift.ts";
import { RequestStream } from "../probe/stream.ts";
import { describeMachine } from "./machine.ts";
import type { Sample } from "./statistics.ts";
import { type ReloadResults, type Results, renderResults, type ShiftResults } from "./table.ts";

/** One way to do the work. */
interface Way {
  /** Puts the weights where the next command reads them; not timed, as typing is not. */
  configure(weights: Weights): Promise<unknown>;
  up(): Promise<unknown>;
  shift(weights: Weights): Promise<unknown>;
  down(): Promise<unknown>;
}

type Weights = { v116: number; v117: number };

/** What both ways need to know, read from the stack. */
interface Bench extends Page {
  namespace: string;
  kubeconfig: string;
  /** Environment of byHand.sh. */
  byHand: Record<string, string>;
}

const ROOT = join(import.meta.dirname, "..");
const EVEN: Weights = { v116: 50, v117: 50 };
const SHIFTED: Weights = { v116: 10, v117: 90 };

await new Command("bench")
  .description("paired benchmark: byHand.sh against the Pulumi program, on the cluster of ./lab env")
  .option("--rounds <number>", "rounds of each way", Number, 3)
  .option("--shifts <number>", "weight changes under a stream of requests", Number, 20)
  .option("--reloads <number>", "reloads of HAProxy under a stream of requests", Number, 5)
  .option("--json", "print the results as one object")
  .option("--write", "write docs/benchmarks.md")
  .action(async (flags: { rounds: number; shifts: number; reloads: number; json?: true; write?: true }) => {
    const work = await mkdtemp(join(tmpdir(), "istio-lab-bench-"));
    try {
      const results = await measureAll(await readBench(work), flags);
      console.log(flags.json ? JSON.stringify(results) : renderResults(results));
      if (flags.write) await writeFile(join(ROOT, "docs/benchmarks.md"), document(results));
    } finally {
      await rm(work, { recursive: true });
    }
  })
  .parseAsync();

async function measureAll(
  bench: Bench,
  { rounds, shifts, reloads }: { rounds: number; shifts: number; reloads: number },
): Promise<Results> {
  const byHand = handWay(bench);
  const pulumi = pulumiWay();
  note("taking the stack down first");
  await pulumi.down();

  const steps: Record<string, Sample> = {};
  for (let round = 1; round <= rounds; round++) {
    for (const [name, way] of [["byHand", byHand] as const, ["pulumi", pulumi] as const]) {
      for (const [step, time] of Object.entries(await measureRound(bench, way, `round ${round}, ${name}`))) {
        steps[step] ??= { byHand: [], pulumi: [] };
        steps[step][name].push(time);
      }
    }
  }

  note("up again");
  await pulumi.configure(EVEN);
  await pulumi.up();
  const shiftResults = await measureShifts(bench, pulumi, shifts);
  await pulumi.configure(EVEN);
  await pulumi.up();
  return {
    setting: await describeSetting(rounds),
    steps,
    shifts: shiftResults,
    reload: await measureReloads(bench, reloads),
  };
}

/** One way from an empty cluster to an empty cluster. */
async function measureRound(bench: Bench, way: Way, label: string): Promise<Record<string, number>> {
  await way.configure(EVEN);
  const serving = firstAnswer(bench);
  const up = await timed(`${label}: up`, () => way.up());
  const firstServed = await serving;
  await way.configure(SHIFTED);
  return {
    "empty cluster to first 200 through HAProxy": firstServed,
    "empty cluster to end of the command": up,
    "weight change": await timed(`${label}: weight change`, () => way.shift(SHIFTED)),
    "up once more": await timed(`${label}: up once more`, () => way.up()),
    "take everything down": await timed(`${label}: down`, () => way.down()),
  };
}

/** Seconds until the load balancer answers with a page for the first time, asked every 20 ms. */
async function firstAnswer(bench: Bench): Promise<number> {
  const client = new Client({ ...bench, timeout: 1000 }, 1);
  const start = performance.now();
  try {
    while ((await client.ask()).version === undefined) await delay(20);
    return (performance.now() - start) / 1000;
  } finally {
    await client.close();
  }
}

async function measureShifts(bench: Bench, way: Way, count: number): Promise<ShiftResults> {
  const results: ShiftResults = { method: "access log", lastOldMs: [], requests: 0, failed: 0 };
  for (let i = 1; i <= count; i++) {
    const weights = i % 2 === 1 ? SHIFTED : EVEN;
    await way.configure(weights);
    const { times, requests, failed } = await observeShift(bench, () => way.shift(weights));
    if (times?.lastOldMs == null) throw new Error(`shift ${i}: no request with the old shares was seen`);
    if (times.method === "estimate") results.method = "estimate";
    results.lastOldMs.push(times.lastOldMs);
    results.requests += requests;
    results.failed += failed;
    note(`shift ${i} of ${count}: last old ${times.lastOldMs} ms, ${failed} of ${requests} requests failed`);
  }
  return results;
}

async function measureReloads(bench: Bench, count: number): Promise<ReloadResults> {
  const stream = new RequestStream(bench).start();
  const seconds: number[] = [];
  for (let i = 1; i <= count; i++) {
    seconds.push(
      await timed(`reload ${i} of ${count}`, () => onLoadBalancer(bench, "sudo -n systemctl reload haproxy")),
    );
  }
  const { requests, failed } = tally(await stream.stop(), { pages: bench.pages, weights: {} });
  return { seconds, requests, failed };
}

function handWay({ byHand }: Bench): Way {
  const script = (...args: string[]): Promise<unknown> =>
    execa("sh", [join(import.meta.dirname, "byHand.sh"), ...args], { env: byHand });
  return {
    configure: async () => {},
    up: () => script("up"),
    shift: ({ v116, v117 }) => script("shift", String(v116), String(v117)),
    down: () => script("down"),
  };
}

function pulumiWay(): Way {
  const up = (): Promise<unknown> => pulumi("up", "--yes", "--skip-preview");
  return {
    configure: ({ v116, v117 }) => {
      const settings = [`weights.v116=${v116}`, `weights.v117=${v117}`].flatMap((setting) => [
        "--plaintext",
        setting,
      ]);
      return pulumi("config", "set-all", "--path", ...settings);
    },
    up,
    shift: up,
    down: () => pulumi("destroy", "--yes", "--skip-preview"),
  };
}

async function pulumi(...args: string[]): Promise<string> {
  return (await execa("pulumi", [...args, "--non-interactive"], { cwd: ROOT })).stdout;
}

function onLoadBalancer({ byHand }: Bench, command: string): Promise<unknown> {
  const { LB_KEY, LB_KNOWN_HOSTS, LB_PORT, LB_USER, LB_HOST } = byHand as Record<string, string>;
  const options = [`UserKnownHostsFile=${LB_KNOWN_HOSTS}`, "BatchMode=yes", "StrictHostKeyChecking=yes"];
  return execa("ssh", [
    ...["-i", LB_KEY as string, "-p", LB_PORT as string],
    ...options.flatMap((option) => ["-o", option]),
    ...[`${LB_USER}@${LB_HOST}`, command],
  ]);
}

/** Reads config and outputs of the stack, and writes what byHand.sh wants as files. */
async function readBench(work: string): Promise<Bench> {
  const outputs = readOutputs(await pulumi("stack", "output", "--json"));
  if (!outputs) throw new Error("the stack is not up; run ./lab up first");
  const config = readConfig(await pulumi("config", "--json", "--show-secrets"));
  const { host, port = 22, user, hostKey } = config.loadBalancer;
  const { profile = "demo", hub, tag, values } = config.istio;
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(work, name), text, { mode: 0o600 });
    return join(work, name);
  };
  const image = (version: string): string =>
    config.versions.find(({ name }) => name === version)?.image ?? "";
  return {
    ...pageAt(host, outputs),
    namespace: outputs.namespace,
    kubeconfig: process.env.KUBECONFIG ?? "",
    byHand: {
      ISTIO_FILE: await file(
        "istio.yaml",
        stringify({
          apiVersion: "install.istio.io/v1alpha1",
          kind: "IstioOperator",
          spec: { profile, hub, tag, values },
        }),
      ),
      IMAGE_V116: image("v116"),
      IMAGE_V117: image("v117"),
      PAGE_V116: outputs.pages.v116?.trimEnd() ?? "",
      PAGE_V117: outputs.pages.v117?.trimEnd() ?? "",
      LB_HOST: host,
      LB_PORT: String(port),
      LB_USER: user,
      // OpenSSH wants the last line ended; Pulumi keeps the value without it.
      LB_KEY: await file("key", `${config.loadBalancerPrivateKey.trimEnd()}\n`),
      LB_KNOWN_HOSTS: await file("known_hosts", `${port === 22 ? host : `[${host}]:${port}`} ${hostKey}\n`),
    },
  };
}

interface StackConfig {
  versions: { name: string; image: string }[];
  istio: { profile?: string; hub?: string; tag?: string; values?: object };
  loadBalancer: { host: string; port?: number; user: string; hostKey: string };
  loadBalancerPrivateKey: string;
}

function readConfig(json: string): StackConfig {
  const raw = JSON.parse(json) as Record<string, { value: string; objectValue?: unknown }>;
  const entries = Object.entries(raw).map(([key, { value, objectValue }]) => [
    key.replace("istio-lab:", ""),
    objectValue ?? value,
  ]);
  return Object.fromEntries(entries) as StackConfig;
}

async function describeSetting(rounds: number): Promise<string[]> {
  const versions = await Promise.all([pulumi("version"), execa("istioctl", ["version", "--remote=false"])]);
  return [
    `${describeMachine()}, ` +
      `Pulumi ${versions[0].trim()}, istioctl ${versions[1].stdout.replace(/^client version: /, "").trim()}. ` +
      `${rounds} rounds, in turn by hand and by Pulumi, on one embedded lab.`,
  ];
}

function document(results: Results): string {
  return `# Benchmarks

The same work by a plain shell script (\`bench/byHand.sh\`) and by the Pulumi program, in turn on one cluster, so that both meet the same
machine. Editing the config is not timed, as typing is not. "Up once more" is the script or \`pulumi up\` run again where all is up; the
script then installs all over again. The ratio is the median of the rounds' ratios; below 1 the Pulumi program is quicker. Made by
\`eval "$(./lab env)" && node bench/run.ts --write\`.

${renderResults(results)}
`;
}

async function timed(label: string, work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  note(`${label}: ${seconds.toFixed(2)} s`);
  return seconds;
}

function note(text: string): void {
  console.error(text);
}

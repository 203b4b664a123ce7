/**
 * The same work by hand (byHand.sh) and by the Pulumi program, on one cluster, in turn: A B A B. Run it on an
 * embedded lab that is up:
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
import { connect } from "../clients/ssh.ts";
import { Client } from "../probe/client.ts";
import { tally } from "../probe/probe.ts";
import { observeShift } from "../probe/shift/shift.ts";
import { RequestStream } from "../probe/stream.ts";
import { type Bench, describeSetting, ROOT, readBench } from "./setting.ts";
import type { Sample } from "./statistics.ts";
import { type ReloadResults, type Results, renderResults, type ShiftResults } from "./table.ts";
import { note, timed } from "./timed.ts";
import { handWay, pulumiWay, type Way, type Weights } from "./ways.ts";

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

/** Seconds until the load balancer's first answer with a page; one request every 20 ms. */
async function firstAnswer(bench: Bench): Promise<number> {
  const client = new Client({ ...bench, timeout: 1000 }, 1);
  const start = performance.now();
  try {
    while ((await client.get()).version === undefined) await delay(20);
    return (performance.now() - start) / 1000;
  } finally {
    await client.close();
  }
}

async function measureShifts(bench: Bench, way: Way, count: number): Promise<ShiftResults> {
  const results: ShiftResults = { lastOldMs: [], requests: 0, failed: 0 };
  for (let i = 1; i <= count; i++) {
    const weights = i % 2 === 1 ? SHIFTED : EVEN;
    await way.configure(weights);
    const { times, requests, failed } = await observeShift(bench, () => way.shift(weights));
    if (times?.lastOldMs == null) throw new Error(`shift ${i}: no request with the old shares was seen`);
    results.lastOldMs.push(times.lastOldMs);
    results.requests += requests;
    results.failed += failed;
    note(`shift ${i} of ${count}: last old ${times.lastOldMs} ms, ${failed} of ${requests} requests failed`);
  }
  return results;
}

async function measureReloads(bench: Bench, count: number): Promise<ReloadResults> {
  const loadBalancer = await connect(bench.loadBalancer);
  const stream = new RequestStream(bench).start();
  const seconds: number[] = [];
  for (let i = 1; i <= count; i++) {
    seconds.push(
      await timed(`reload ${i} of ${count}`, async () => {
        const { exitCode, stderr } = await loadBalancer.run("sudo -n systemctl reload haproxy");
        if (exitCode !== 0) throw new Error(`HAProxy was not reloaded: ${stderr.trim()}`);
      }),
    );
  }
  const { requests, failed } = tally(await stream.stop(), { pages: bench.pages, weights: {} });
  loadBalancer.close();
  return { seconds, requests, failed };
}

function document(results: Results): string {
  return `# Benchmarks

The same work by a plain shell script (\`bench/byHand.sh\`) and by the Pulumi program, in turn on one cluster,
so that both meet the same machine. Editing the config is not timed. "Up once more" is the script or
\`pulumi up\` run again where all is up; the script then installs all over again. The ratio is the median of
the rounds' ratios; below 1 the Pulumi program is quicker. Made by
\`eval "$(./lab env)" && node bench/run.ts --write\`.

${renderResults(results)}

## The lab's own commands

By hand, on the idle machine, with a filled cache, 2026-11-26:

| command | from, to | median (min to max) |
|---|---|---|
| \`./lab up --no-monitoring\` | no machine, to the measured split | 27.0 s of three (26.6 to 28.2 s) |
| \`./lab shift\` | Enter, to the changed VirtualService | 2.36 s of seven (at most 2.45 s) |

## Where the time of a weight change goes

A weight change is an update of the whole stack. Shares of the time from Enter after \`./lab shift\` to the
changed VirtualService, by traces of all processes of five shifts:

| stage | share |
|---|---|
| the lab's command line starts, and kubectl for the watch of the VirtualService | 12 % |
| Pulumi's command line starts, and twice its language host: first for Node's version | 23 % |
| the program loads, without the parts of Pulumi's SDK that \`clients/leanSdk.ts\` defers | 13 % |
| preflight: the cluster, the load balancer, istioctl | 21 % |
| the engine starts the two providers, one after the other, and compares all resources | 23 % |
| the Kubernetes provider starts kubectl, and writes | 8 % |

Only the last stage and the watch are the change's own; the others are those of an update without changes.
`;
}

/**
 * What the rules for clients cost (forwarded headers, limits, times): requests through HAProxy with today's
 * file and with plain.haproxy.cfg, which has none of them, in turn on one machine. It needs no lab that is
 * up:
 *
 * node bench/haproxyRules.ts --rounds 15
 *
 * Exit code 1: a request failed, or today's file is more than 5 % slower by the median of the rounds.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { Command } from "commander";
import { Client } from "undici";
import { withFirstLine } from "../haproxy/firstLine.ts";
import { labModel } from "../haproxy/model.ts";
import { renderHaproxy } from "../haproxy/render.ts";
import { EdgeMachine } from "./edgeMachine.ts";
import { quantile } from "./statistics.ts";

const PORT = 8081;
const CLIENTS = 8;
/** The most that today's file may cost: requests a second down, p99 up. */
const LIMIT = 1.05;

interface Round {
  readonly perSecond: number;
  readonly p99: number;
}

await new Command("bench/haproxyRules")
  .description("requests through HAProxy with the rules for clients and without, in turn")
  .option("--rounds <number>", "rounds, each with both files", Number, 15)
  .option("--requests <number>", "requests of a round with each file", Number, 20_000)
  .action(async ({ rounds, requests }: { rounds: number; requests: number }) => {
    const edge = new EdgeMachine("bench-rules");
    const server = createServer({ keepAliveTimeout: 600_000 }, (_, response) => response.end("a"));
    try {
      await edge.start();
      await new Promise<void>((resolve) => server.listen(PORT, edge.lab.gateway, resolve));
      await compare(edge, rounds, requests);
    } finally {
      server.closeAllConnections();
      server.close();
      await edge.stop();
    }
  })
  .parseAsync();

/** Only neighbours in time are compared; which file comes first changes from round to round. */
async function compare(edge: EdgeMachine, rounds: number, requests: number): Promise<void> {
  const files = { plain: await plain(edge), rules: rules(edge) };
  const measured: Record<keyof typeof files, Round[]> = { plain: [], rules: [] };
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (["plain", "rules"] as const) : (["rules", "plain"] as const);
    for (const name of order) {
      const { exitCode, stderr } = await edge.push(files[name]);
      if (exitCode !== 0) throw new Error(`a push failed: ${stderr}`);
      await load(edge, requests / 10);
      measured[name].push(await load(edge, requests));
    }
    console.error(`round ${round + 1} of ${rounds}`);
  }
  const ratio = (of: (round: Round) => number) =>
    quantile(
      measured.plain.map((each, i) => of(measured.rules[i] as Round) / of(each)),
      0.5,
    );
  const [speed, p99] = [1 / ratio(({ perSecond }) => perSecond), ratio((each) => each.p99)];
  console.log("| file | requests a second | p99, ms |\n|---|---|---|");
  for (const [name, each] of Object.entries(measured)) console.log(row(name, each));
  console.log(`| rules / plain, paired | ${(1 / speed).toFixed(3)} | ${p99.toFixed(3)} |`);
  if (speed > LIMIT || p99 > LIMIT) process.exitCode = 1;
}

function row(name: string, rounds: readonly Round[]): string {
  const median = (of: (round: Round) => number) => quantile(rounds.map(of), 0.5);
  const rate = Math.round(median(({ perSecond }) => perSecond));
  return `| ${name} | ${rate} | ${median(({ p99 }) => p99).toFixed(2)} |`;
}

/** Requests without a pause over kept connections. @throws Error for any answer but the page */
async function load(edge: EdgeMachine, requests: number): Promise<Round> {
  const times: number[] = [];
  const start = performance.now();
  let left = requests;
  const client = async () => {
    const connection = new Client(`http://${edge.machine.host}`);
    while (left-- > 0) {
      const sentAt = performance.now();
      const { statusCode, body } = await connection.request({ method: "GET", path: "/" });
      if ((await body.text()) !== "a" || statusCode !== 200) throw new Error(`status ${statusCode}`);
      times.push(performance.now() - sentAt);
    }
    await connection.close();
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return { perSecond: (times.length / (performance.now() - start)) * 1000, p99: quantile(times, 0.99) };
}

function rules({ owner, lab }: EdgeMachine): string {
  const nodes = [{ name: "a", address: lab.gateway }];
  return renderHaproxy(labModel({ owner, nodes, nodePorts: { http2: PORT, statusPort: PORT } }));
}

async function plain({ owner, lab }: EdgeMachine): Promise<string> {
  const text = await readFile(join(import.meta.dirname, "plain.haproxy.cfg"), "utf8");
  return withFirstLine(owner, text.replaceAll("ADDRESS", lab.gateway).replaceAll("PORT", String(PORT)));
}

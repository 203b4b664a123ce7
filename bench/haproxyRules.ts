/**
 * What the rules for clients cost (forwarded headers, limits, times): requests through one HAProxy with two
 * ways in, today's file and plain.haproxy.cfg, which has none of them. They take turns, a few hundred
 * requests each, so that both see the same machine. It needs no lab that is up:
 *
 *     node bench/haproxyRules.ts --rounds 200
 *
 * Exit code 1: a request failed, or today's file is more than 2 % slower by the median of the rounds.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
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

/** Of the server behind HAProxy. */
const PORT = 8081;
/** Where the two ways in are. */
const PORTS = { rules: 80, plain: 81 };
const CLIENTS = 8;
/** The most that today's file may cost: requests a second down, p99 up. */
const LIMIT = 1.02;

/** What one way in did in one turn. */
interface Turn {
  readonly perSecond: number;
  readonly p99: number;
}

/** The server is a process of its own, so that it does not share a thread with the clients. */
if (process.argv[2] === "serve") serve(process.argv[3] ?? "");
else
  await new Command("bench/haproxyRules")
    .description("requests through HAProxy with the rules for clients and without, in turn")
    .option("--rounds <number>", "rounds, each with a turn of both", Number, 200)
    .option("--requests <number>", "requests of a turn", Number, 500)
    .action(async ({ rounds, requests }: { rounds: number; requests: number }) => {
      const edge = new EdgeMachine("bench-rules");
      let server: ChildProcess | undefined;
      try {
        await edge.start();
        server = fork(import.meta.filename, ["serve", edge.lab.gateway]);
        await once(server, "message");
        const { exitCode, stderr } = await edge.push(await bothWays(edge));
        if (exitCode !== 0) throw new Error(`the push failed: ${stderr}`);
        await compare(edge, rounds, requests);
      } finally {
        server?.kill();
        await edge.stop();
      }
    })
    .parseAsync();

/** Only neighbours in time are compared. The order changes from round to round. */
async function compare(edge: EdgeMachine, rounds: number, requests: number): Promise<void> {
  const connect = (port: number) =>
    Array.from({ length: CLIENTS }, () => new Client(`http://${edge.machine.host}:${port}`));
  const clients = { rules: connect(PORTS.rules), plain: connect(PORTS.plain) };
  const turns: Record<keyof typeof PORTS, Turn[]> = { rules: [], plain: [] };
  for (let round = 0; round < rounds; round++)
    for (const way of round % 2 === 0 ? (["plain", "rules"] as const) : (["rules", "plain"] as const)) {
      await load(clients[way], requests / 10);
      turns[way].push(await load(clients[way], requests));
    }
  await Promise.all([...clients.rules, ...clients.plain].map((client) => client.close()));
  const ratio = (of: (turn: Turn) => number) =>
    quantile(
      turns.plain.map((each, i) => of(turns.rules[i] as Turn) / of(each)),
      0.5,
    );
  const [speed, p99] = [ratio(({ perSecond }) => perSecond), ratio((each) => each.p99)];
  console.log("| way in | requests a second | p99, ms |\n|---|---|---|");
  for (const [name, each] of Object.entries(turns)) console.log(row(name, each));
  console.log(`| rules / plain, paired | ${speed.toFixed(3)} | ${p99.toFixed(3)} |`);
  if (1 / speed > LIMIT || p99 > LIMIT) process.exitCode = 1;
}

function row(name: string, turns: readonly Turn[]): string {
  const median = (of: (turn: Turn) => number) => quantile(turns.map(of), 0.5);
  const rate = Math.round(median(({ perSecond }) => perSecond));
  return `| ${name} | ${rate} | ${median(({ p99 }) => p99).toFixed(2)} |`;
}

/** Requests without a pause over kept connections. @throws Error for any answer but the page */
async function load(clients: readonly Client[], requests: number): Promise<Turn> {
  const times: number[] = [];
  const start = performance.now();
  let left = requests;
  const send = async (client: Client) => {
    while (left-- > 0) {
      const sentAt = performance.now();
      const { statusCode, body } = await client.request({ method: "GET", path: "/" });
      if ((await body.text()) !== "a" || statusCode !== 200) throw new Error(`status ${statusCode}`);
      times.push(performance.now() - sentAt);
    }
  };
  await Promise.all(clients.map(send));
  return { perSecond: (times.length / (performance.now() - start)) * 1000, p99: quantile(times, 0.99) };
}

/** Today's file, and the plain one's sections below it. */
async function bothWays({ owner, lab }: EdgeMachine): Promise<string> {
  const nodes = [{ name: "a", address: lab.gateway }];
  const rules = renderHaproxy(labModel({ owner, nodes, nodePorts: { http2: PORT, statusPort: PORT } }));
  const plain = await readFile(join(import.meta.dirname, "plain.haproxy.cfg"), "utf8");
  const body = rules.slice(rules.indexOf("\n") + 1);
  return withFirstLine(
    owner,
    `${body}\n${plain.replaceAll("ADDRESS", lab.gateway).replaceAll("PORT", String(PORT))}`,
  );
}

function serve(address: string): void {
  const server = createServer({ keepAliveTimeout: 600_000 }, (_, response) => response.end("a"));
  server.listen(PORT, address, () => process.send?.("listening"));
}

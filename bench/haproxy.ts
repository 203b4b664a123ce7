/**
 * Benchmarks HAProxy in front of two plain servers, on a machine of its own: requests without a pause during
 * pushes, then a config of many servers, rendered, checked and pushed. It needs no running lab:
 *
 *     node bench/haproxy.ts --write
 *
 * Progress goes to stderr, the tables to stdout. Exit code 1: a request failed, or a limit was not met.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { Command } from "commander";
import { labModel } from "../haproxy/model.ts";
import { renderHaproxy } from "../haproxy/render.ts";
import { RequestLoop } from "../probe/loop.ts";
import { EdgeMachine } from "./edgeMachine.ts";
import { type Load, render, type Scale, withinLimits } from "./haproxyTable.ts";
import { describeMachine } from "./machine.ts";

/** The pages of the two servers behind HAProxy. Each config names one of them. */
const PAGES = ["a", "b"] as const;
type Page = (typeof PAGES)[number];
const PORTS: Record<Page, number> = { a: 8081, b: 8082 };
/** Clients, each of which sends its next request as soon as it has its answer. */
const CLIENTS = 8;

/** The servers run in another process, so that they do not share a thread with the clients. */
if (process.argv[2] === "serve") serve(process.argv[3] ?? "");
else
  await new Command("bench/haproxy")
    .description("HAProxy under pushes, and a config of many servers")
    .option(
      "--requests <number>",
      "requests over kept connections, and as many over new ones",
      Number,
      500_000,
    )
    .option("--pushes <number>", "pushes during each of the two", Number, 50)
    .option("--servers <number>", "servers in the large config", Number, 1000)
    .option("--write", "write docs/benchmarks-haproxy.md")
    .action(async ({ write, ...size }: Size & { write?: true }) => {
      const edge = new EdgeMachine("bench-haproxy");
      const { tables, good } = await measure(edge, size).finally(() => edge.stop());
      console.log(tables);
      if (write)
        await writeFile(join(import.meta.dirname, "../docs/benchmarks-haproxy.md"), document(tables));
      if (!good) process.exitCode = 1;
    })
    .parseAsync();

interface Size {
  readonly requests: number;
  readonly pushes: number;
  readonly servers: number;
}

async function measure(edge: EdgeMachine, size: Size): Promise<{ tables: string; good: boolean }> {
  note("starting the machine");
  await edge.start();
  const servers = await startServers(edge);
  try {
    const loads = [await underLoad(edge, "kept", size), await underLoad(edge, "new", size)];
    const scale = await atScale(edge, size);
    const unfailing = loads.every(({ failures }) => Object.keys(failures).length === 0);
    return { tables: render(loads, scale), good: unfailing && withinLimits(scale) };
  } finally {
    servers.kill();
  }
}

/** Sends all requests, and pushes the two configs in turn, spread evenly over the requests. */
async function underLoad(
  edge: EdgeMachine,
  connections: Load["connections"],
  { requests, pushes }: Size,
): Promise<Load> {
  await push(edge, config(edge, "a"));
  const loop = new RequestLoop(`http://${edge.machine.host}/`, {
    pages: PAGES,
    [connections === "kept" ? "kept" : "fresh"]: CLIENTS,
  }).start();
  const start = performance.now();
  const pushSeconds: number[] = [];
  for (let i = 1; i <= pushes; i++) {
    await loop.reached((i * requests) / (pushes + 1));
    pushSeconds.push(await push(edge, config(edge, i % 2 === 1 ? "b" : "a")));
    note(`${connections} connections, push ${i} of ${pushes}: ${loop.failed} of ${loop.sent} failed`);
  }
  await loop.reached(requests);
  await loop.stop();
  const { sent, failures, opened } = loop;
  const seconds = (performance.now() - start) / 1000;
  return { connections, requests: sent, failures, opened, seconds, pushSeconds };
}

/** A config with that many servers. None of them exists, which only HAProxy's health checks notice. */
async function atScale(edge: EdgeMachine, { servers }: Size): Promise<Scale> {
  const rounds = <T>(count: number, round: (i: number) => T) =>
    Array.from({ length: count }, (_, i) => round(i));
  const nodes = rounds(servers, (i) => ({ name: `node${i}`, address: `10.${i >> 8}.${i & 255}.1` }));
  const text = (port: number) =>
    renderHaproxy(labModel({ owner: edge.owner, nodes, nodePorts: { http2: port, statusPort: port } }));
  const renderMs = rounds(101, (i) => milliseconds(() => text(30_000 + i)));
  const pushSeconds: number[] = [];
  for (const port of rounds(5, (i) => 30_000 + i)) {
    pushSeconds.push(await push(edge, text(port)));
    note(`${servers} servers: pushed in ${pushSeconds.at(-1)?.toFixed(2)} s`);
  }
  const { exitCode } = await edge.ssh(`sudo -n haproxy -c -f ${edge.machine.configFile}`);
  return { servers, renderMs, pushSeconds, accepted: exitCode === 0 };
}

/** Seconds of a push over SSH, as by the program, until the new worker process serves. */
async function push(edge: EdgeMachine, text: string): Promise<number> {
  const start = performance.now();
  const { exitCode, stdout, stderr } = await edge.push(text);
  if (exitCode !== 0 || !/^(pushed|unchanged): /m.test(stdout)) throw new Error(`a push failed: ${stderr}`);
  return (performance.now() - start) / 1000;
}

function config({ owner, lab }: EdgeMachine, page: Page): string {
  const nodes = [{ name: page, address: lab.gateway }];
  const port = PORTS[page];
  return renderHaproxy(labModel({ owner, nodes, nodePorts: { http2: port, statusPort: port } }));
}

async function startServers({ lab }: EdgeMachine): Promise<ChildProcess> {
  const servers = fork(import.meta.filename, ["serve", lab.gateway]);
  await once(servers, "message");
  return servers;
}

function serve(address: string): void {
  for (const page of PAGES) {
    // The server must not close idle connections, which HAProxy reuses after a pause.
    const server = createServer({ keepAliveTimeout: 600_000 }, (_, response) => response.end(page));
    server.listen(PORTS[page], address, () => page === PAGES.at(-1) && process.send?.("listening"));
  }
}

function milliseconds(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function document(tables: string): string {
  return `# The load balancer under pushes, and at scale

HAProxy on a machine of its own before two plain servers; each push is the program's: by SSH, staged, checked,
renamed, reloaded and verified. ${CLIENTS} clients send requests without a pause on the same two cores, and no
request is retried. HAProxy's manual expects about one failed request in 10,000 at a reload. Made by
\`node bench/haproxy.ts --write\`.

${describeMachine()}.

${tables}
`;
}

function note(text: string): void {
  console.error(text);
}

/** The dashboard's server: one page on loopback, and the newest picture for it. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { readAssets } from "./assets.ts";
import { refusal, SECURITY_HEADERS } from "./guard.ts";
import { closeServer, listenOnLoopback, portOf } from "./loopback.ts";
import type { Picture } from "./picture.ts";
import { problemOf } from "./problem.ts";

export interface DashboardArgs {
  /** TCP port on 127.0.0.1; 0 takes a free one. */
  readonly port: number;
  /** Measures once. The page shows its error beside the newest picture. */
  readonly measure: (signal: AbortSignal) => Promise<Picture>;
  /** Receives details of errors that the page does not show. @default standard error */
  readonly print?: ((line: string) => void) | undefined;
}

export interface Dashboard {
  /** Where a browser finds it, e.g. `http://127.0.0.1:4180/`. */
  readonly url: string;
  close(): Promise<void>;
}

/** Milliseconds between two measurements. */
const EVERY_MS = 1000;
/** For one measurement, in milliseconds. */
const LIMIT_MS = 5000;

/**
 * Serves the page until it is closed. It listens on 127.0.0.1 alone, and nothing is measured while no page is
 * open.
 * @throws Error `EADDRINUSE` when the port is taken.
 */
export async function startDashboard({
  port,
  measure,
  print = console.error,
}: DashboardArgs): Promise<Dashboard> {
  const assets = readAssets();
  const newest = new Newest(measure, print);
  const server = createServer((request, response) => {
    const refused = refusal({ method: request.method ?? "", headers: request.headers }, portOf(server));
    if (refused) return send(request, response, 403, "text/plain; charset=utf-8", `${refused}\n`);
    // A path like `//[` is no URL: it is compared as it is.
    const [path = "/"] = (request.url ?? "/").split("?");
    if (path === "/picture.json") return send(request, response, 200, "application/json", newest.json());
    const asset = assets.get(path);
    if (asset) return send(request, response, 200, asset.type, asset.body);
    send(request, response, 404, "text/plain; charset=utf-8", "there is no such page\n");
  });
  await listenOnLoopback(server, port);
  return {
    url: `http://127.0.0.1:${portOf(server)}/`,
    close: async () => {
      newest.stop();
      await closeServer(server);
    },
  };
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
): void {
  response.writeHead(status, { ...SECURITY_HEADERS, "content-type": type });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** The newest picture, measured each second while a page gets it. */
class Newest {
  readonly #measure: DashboardArgs["measure"];
  readonly #print: (line: string) => void;
  #printed = "";
  readonly #stopped = new AbortController();
  #picture: Picture | undefined;
  #problem: string | undefined;
  #wantedAt = 0;
  #running = false;

  constructor(measure: DashboardArgs["measure"], print: (line: string) => void) {
    this.#measure = measure;
    this.#print = print;
  }

  json(): string {
    this.#wantedAt = performance.now();
    if (!this.#running) void this.#run();
    return JSON.stringify({ picture: this.#picture, problem: this.#problem });
  }

  stop(): void {
    this.#stopped.abort();
  }

  async #run(): Promise<void> {
    this.#running = true;
    const { signal } = this.#stopped;
    while (!signal.aborted && performance.now() - this.#wantedAt < 10 * EVERY_MS) {
      try {
        this.#picture = await this.#measure(AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]));
        this.#problem = undefined;
      } catch (error) {
        this.#problem = problemOf(error, { limitMs: LIMIT_MS, print: (line) => this.#printOnce(line) });
      }
      await delay(EVERY_MS, undefined, { signal }).catch(() => {});
    }
    this.#running = false;
  }

  /** An error comes back each second. */
  #printOnce(line: string): void {
    if (line !== this.#printed) this.#print(line);
    this.#printed = line;
  }
}

/** Serves the pages of a program in the cluster on loopback, through the API server's proxy. */
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { ApiError, type KubernetesApi } from "../clients/kubernetes.ts";
import type { Dashboard } from "./dashboard.ts";
import { FORWARD_HEADERS, refusal } from "./guard.ts";
import { closeServer, listenOnLoopback, portOf } from "./loopback.ts";
import { problemOf } from "./problem.ts";
import { proxyPath, type ServiceRef } from "./source.ts";

export interface ForwardArgs {
  readonly api: KubernetesApi;
  readonly service: ServiceRef;
  /** TCP port on 127.0.0.1; 0 takes a free one. */
  readonly port: number;
  /** Path of the first page. @default / */
  readonly start?: string | undefined;
  /** Until an answer has to be whole, in milliseconds. @default two minutes */
  readonly wholeMs?: number | undefined;
}

/** Most bytes of a query by POST. */
const BODY_BYTES = 2 ** 20;

/** Headers of an answer that belong to its connection. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "proxy-authenticate",
  "te",
  // Nothing of the API server or of a proxy before it stays in the browser.
  "set-cookie",
]);

/**
 * Forwards until it is closed. Requests of other origins are refused: the API server would carry them out
 * with the rights of the user's kubeconfig.
 * @throws Error `EADDRINUSE` when the port is taken.
 */
export async function startForward({
  api,
  service,
  port,
  start = "/",
  wholeMs = 120_000,
}: ForwardArgs): Promise<Dashboard> {
  const prefix = proxyPath(service);
  const server = createServer(async (request, response) => {
    // Prometheus' pages send long queries by POST.
    const method = request.method === "POST" ? "GET" : (request.method ?? "");
    const refused = refusal({ method, headers: request.headers }, portOf(server));
    if (refused) return say(response, 403, refused);
    try {
      const sent = await bodyOf(request);
      if (!sent) return say(response, 413, `a query has ${BODY_BYTES} bytes at most`);
      const accept = request.headers.accept ?? "*/*";
      const path = pathBehind(prefix, request.url ?? "/");
      const answer = await api.raw(request.method ?? "GET", path, { accept, ...sent });
      if (answer.statusCode === 401) {
        answer.destroy();
        throw new ApiError(401, "Unauthorized", "Unauthorized");
      }
      response.writeHead(answer.statusCode ?? 502, forwarded(answer, prefix));
      // Either side may break off: the other one is closed, too.
      await pipeline(answer, response, { signal: AbortSignal.timeout(wholeMs) }).catch(() => undefined);
    } catch (error) {
      say(response, 502, problemOf(error, { limitMs: 30_000, print: console.error }));
    }
  });
  await listenOnLoopback(server, port);
  return {
    url: `http://127.0.0.1:${portOf(server)}${start}`,
    close: async () => {
      await closeServer(server);
    },
  };
}

function say(response: ServerResponse, status: number, words: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
  response.end(`${words}\n`);
}

/**
 * The API server puts its own prefix before each absolute link of an HTML page: such a path has it already.
 * Dots are resolved before the prefix is added, so that no path leads out of the Service.
 */
export function pathBehind(prefix: string, path: string): string {
  const { pathname, search } = new URL(`http://localhost${path}`);
  const whole = `${pathname}${search}`;
  return pathname === prefix || pathname.startsWith(`${prefix}/`) ? whole : `${prefix}${whole}`;
}

function forwarded({ headers }: IncomingMessage, prefix: string): OutgoingHttpHeaders {
  const kept = Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name));
  const { location } = headers;
  return {
    ...Object.fromEntries(kept),
    ...FORWARD_HEADERS,
    ...(location ? { location: location.replace(prefix, "") || "/" } : {}),
  };
}

/** Undefined where it is too long. */
async function bodyOf(
  request: IncomingMessage,
): Promise<{ body?: Buffer; contentType?: string } | undefined> {
  if (request.method !== "POST") return {};
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The connection stays open for the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES) {
      // The rest is read and dropped, so that the browser gets the answer.
      request.resume();
      return undefined;
    }
    chunks.push(chunk);
  }
  return { body: Buffer.concat(chunks), contentType: request.headers["content-type"] ?? "text/plain" };
}

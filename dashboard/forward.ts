/** Serves the pages of a program in the cluster on loopback, through the API server's proxy. */
import { createServer, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import type { KubernetesApi } from "../clients/kubernetes.ts";
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
}

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
export async function startForward({ api, service, port, start = "/" }: ForwardArgs): Promise<Dashboard> {
  const prefix = proxyPath(service);
  const server = createServer(async (request, response) => {
    // Prometheus' pages send long queries by POST.
    const method = request.method === "POST" ? "GET" : (request.method ?? "");
    const refused = refusal({ method, headers: request.headers }, portOf(server));
    if (refused) {
      response.writeHead(403, { "content-type": "text/plain; charset=utf-8" });
      return response.end(`${refused}\n`);
    }
    try {
      const answer = await api.raw(request.method ?? "GET", pathBehind(prefix, request.url ?? "/"), {
        accept: request.headers.accept ?? "*/*",
        ...(await bodyOf(request)),
      });
      response.writeHead(answer.statusCode ?? 502, forwarded(answer, prefix));
      answer.on("error", () => response.destroy()).pipe(response);
    } catch (error) {
      response.writeHead(502, { "content-type": "text/plain; charset=utf-8" });
      response.end(`${problemOf(error, { limitMs: 30_000, print: console.error })}\n`);
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

async function bodyOf(request: IncomingMessage): Promise<{ body?: Buffer; contentType?: string }> {
  if (request.method !== "POST") return {};
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return { body: Buffer.concat(chunks), contentType: request.headers["content-type"] ?? "text/plain" };
}

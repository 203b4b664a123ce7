/**
 * A fake API server with a few fixed answers: on a Unix socket in place of `kubectl proxy`, or on loopback
 * with a kubeconfig.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { KubernetesApi, type Target } from "../../clients/kubernetes.ts";

/** Path, with or without its query, to the answer: an object or a status. */
export type Paths = Readonly<Record<string, object | number>>;

export interface Behaviour {
  /** The answer of any other path. @default 404 */
  readonly otherwise?: number | undefined;
  /** Which access reviews are refused. @default none */
  readonly refused?: ((attributes: Attributes) => boolean) | undefined;
  /** The answer to a rules review of a namespace. @default 404, as of a server without it */
  readonly rules?: ((namespace: string) => object) | undefined;
  /** True: it never answers. @default false */
  readonly silent?: boolean | undefined;
}

export interface Attributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
}

const REVIEWS = "/apis/authorization.k8s.io/v1";
export const ACCESS_REVIEWS = `${REVIEWS}/selfsubjectaccessreviews`;
export const RULES_REVIEWS = `${REVIEWS}/selfsubjectrulesreviews`;

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** A client whose requests are answered in this process. */
export async function apiOf(paths: Paths, behaviour: Behaviour = {}) {
  const { server, requests } = serve(paths, behaviour);
  const directory = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
  const socket = join(directory, "socket");
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const api = new KubernetesApi({ socket, target: TARGET });
  cleanups.push(async () => {
    await api.close();
    rmSync(directory, { recursive: true });
  });
  return { api, requests };
}

/** A kubeconfig that leads to the server; its user has a token. */
export async function clusterOf(paths: Paths, behaviour: Behaviour & { readonly user?: object } = {}) {
  const { server, requests, tokens } = serve(paths, behaviour);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const kubeconfig = kubeconfigOf(`http://127.0.0.1:${port}`, behaviour.user ?? { token: "good" });
  return { kubeconfig, requests, tokens, server };
}

/** Writes a kubeconfig of one context, `lab`. */
export function kubeconfigOf(server: string, user: object, cluster: object = {}): string {
  const directory = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "kubeconfig");
  writeFileSync(
    file,
    JSON.stringify({
      "current-context": "lab",
      clusters: [{ name: "lab", cluster: { server, ...cluster } }],
      users: [{ name: "me", user }],
      contexts: [{ name: "lab", context: { cluster: "lab", user: "me" } }],
    }),
  );
  return file;
}

const TARGET: Target = {
  where: "cluster https://example.test (kubeconfig k, context c)",
  files: "k",
  context: "c",
  contexts: ["c"],
  server: "https://example.test",
  cluster: {},
  namespace: "",
  credentialPlugin: "",
  hasRelativePaths: false,
};

function serve(paths: Paths, { otherwise = 404, silent = false, ...reviews }: Behaviour) {
  const requests: string[] = [];
  const tokens: (string | undefined)[] = [];
  const server: Server = createServer(async (request, response) => {
    const path = request.url?.split("?")[0] ?? "";
    requests.push(`${request.method} ${path}`);
    tokens.push(request.headers.authorization);
    if (silent) return;
    answer(
      response,
      (await review(request, path, reviews)) ?? paths[request.url ?? ""] ?? paths[path] ?? otherwise,
    );
  });
  cleanups.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { server, requests, tokens };
}

function answer(response: ServerResponse, what: object | number): void {
  const status = typeof what === "number" ? what : 200;
  const body = typeof what === "number" ? { kind: "Status", reason: "Test", message: "no" } : what;
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function review(
  request: IncomingMessage,
  path: string,
  { refused = () => false, rules }: Behaviour,
): Promise<object | number | undefined> {
  if (path !== ACCESS_REVIEWS && path !== RULES_REVIEWS) return undefined;
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  const { spec } = JSON.parse(text) as { spec: { resourceAttributes: Attributes; namespace: string } };
  if (path === RULES_REVIEWS) return rules ? { status: rules(spec.namespace) } : 404;
  return { status: { allowed: !refused(spec.resourceAttributes) } };
}

/**
 * A fake API server for tests of the provider: discovery, a store, watches, and a list of the requests. It
 * merges applied objects, without field managers. It listens on a Unix socket, as `kubectl proxy` does.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { KubernetesApi } from "../../clients/kubernetes.ts";
import { Cluster } from "../../embedded/plugins/kubernetes/cluster.ts";

export interface Thing {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    resourceVersion?: string;
    finalizers?: string[];
    generation?: number;
    [key: string]: unknown;
  };
  [key: string]: unknown;
}

export interface Request {
  method: string;
  path: string;
  query: Record<string, string>;
  contentType: string | undefined;
  body: Record<string, unknown> | undefined;
}

interface Kind {
  apiVersion: string;
  kind: string;
  plural: string;
  namespaced: boolean;
}

const KINDS: Kind[] = [
  { apiVersion: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true },
  { apiVersion: "v1", kind: "Namespace", plural: "namespaces", namespaced: false },
  { apiVersion: "v1", kind: "Pod", plural: "pods", namespaced: true },
  { apiVersion: "v1", kind: "Secret", plural: "secrets", namespaced: true },
  { apiVersion: "v1", kind: "Service", plural: "services", namespaced: true },
  { apiVersion: "apps/v1", kind: "Deployment", plural: "deployments", namespaced: true },
  { apiVersion: "apps/v1", kind: "ReplicaSet", plural: "replicasets", namespaced: true },
  { apiVersion: "v1", kind: "Endpoints", plural: "endpoints", namespaced: true },
  { apiVersion: "v1", kind: "PersistentVolumeClaim", plural: "persistentvolumeclaims", namespaced: true },
  { apiVersion: "storage.k8s.io/v1", kind: "StorageClass", plural: "storageclasses", namespaced: false },
];

export class FakeApiServer {
  readonly requests: Request[] = [];
  /** How many JSON patches and unforced applies are refused, as after a write of another manager. */
  conflicts = 0;
  /** Collections, by plural name, that this user must neither list nor watch. */
  readonly forbidden = new Set<string>();
  readonly #server: Server;
  #kinds = [...KINDS];
  #store = new Map<string, Thing>();
  #watchers = new Set<{ collection: string; response: ServerResponse }>();
  /** All changes since the start. A watch begins with those that are newer than its list. */
  #events: { version: number; path: string; line: string }[] = [];
  #version = 1;

  readonly #socket = join(mkdtempSync(join(tmpdir(), "fake-api-")), "socket");

  static async start(): Promise<FakeApiServer> {
    const fake = new FakeApiServer();
    fake.#server.listen(fake.#socket);
    await once(fake.#server, "listening");
    return fake;
  }

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** A client of it. */
  api(): KubernetesApi {
    const target = {
      ...{ where: "cluster fake", files: "", context: "c", contexts: [], server: "", cluster: {} },
      ...{ namespace: "", credentialPlugin: "", hasRelativePaths: false },
    };
    return new KubernetesApi({ socket: this.#socket, target });
  }

  /** The provider's client of it. */
  cluster(): Cluster {
    return new Cluster(this.api());
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    rmSync(dirname(this.#socket), { recursive: true, force: true });
  }

  reset(): void {
    this.requests.length = 0;
    this.conflicts = 0;
    this.forbidden.clear();
    this.#kinds = [...KINDS];
    this.#store.clear();
    this.#events = [];
  }

  /** Adds a kind, as a CustomResourceDefinition does. */
  define(kind: Kind): void {
    this.#kinds.push(kind);
  }

  /** Writes past the API, as a controller does. */
  put(path: string, thing: Thing): Thing {
    return this.#save(path, thing, this.#store.has(path) ? "MODIFIED" : "ADDED");
  }

  get(path: string): Thing | undefined {
    return this.#store.get(path);
  }

  remove(path: string): void {
    const thing = this.#store.get(path);
    if (thing === undefined) return;
    this.#store.delete(path);
    this.#version++;
    this.#notify(path, "DELETED", thing);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://x");
    let text = "";
    for await (const chunk of request) text += chunk;
    const seen: Request = {
      method: request.method ?? "",
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      contentType: request.headers["content-type"],
      body: text === "" ? undefined : JSON.parse(text),
    };
    this.requests.push(seen);
    const plural = url.pathname.split("/").at(-1) ?? "";
    if (seen.method === "GET" && this.forbidden.has(plural)) {
      const [code, body] = failure(403, "Forbidden", `${plural} is forbidden`);
      response
        .writeHead(code, { "content-type": "application/json", "audit-id": "a" })
        .end(JSON.stringify(body));
      return;
    }
    if (seen.query.watch === "true")
      return this.#watch(seen.path, Number(seen.query.resourceVersion), response);
    const [code, body] = this.#handle(seen);
    response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
  }

  #handle({ method, path, query, body, contentType }: Request): [code: number, body: unknown] {
    const group = path.replace(/^\/apis?\//, "");
    const inGroup = this.#kinds.filter(({ apiVersion }) => apiVersion === group);
    if (/^\/apis?\/[^/]+(\/v\w+)?$/.test(path))
      return inGroup.length === 0
        ? failure(404, "NotFound", "the server could not find the requested resource")
        : [
            200,
            {
              resources: inGroup.map(({ plural, kind, namespaced }) => ({ name: plural, kind, namespaced })),
            },
          ];

    if (method === "POST") {
      const created = body as Thing;
      const own = `${path}/${created.metadata.name}`;
      if (this.#store.has(own))
        return failure(
          409,
          "AlreadyExists",
          `${path.split("/").at(-1)} "${created.metadata.name}" already exists`,
        );
      const whole = {
        ...created,
        metadata: { namespace: namespaceOf(path), generation: 1, ...created.metadata },
      };
      return [201, query.dryRun ? whole : this.#save(own, whole as Thing, "ADDED")];
    }
    const collection = this.#kinds.some(({ plural }) => path.endsWith(`/${plural}`));
    if (method === "GET" && collection) {
      const items = [...this.#store].filter(([own]) => own.startsWith(`${path}/`)).map(([, thing]) => thing);
      return [200, { metadata: { resourceVersion: String(this.#version) }, items }];
    }
    const live = this.#store.get(path);
    const applied = contentType === "application/apply-patch+yaml";
    if (applied && query.force !== "true" && this.conflicts-- > 0)
      return failure(409, "Conflict", 'Apply failed with 1 conflict: conflict with "other": .data.a');
    // Server-side apply creates a missing object.
    if (live === undefined && applied) {
      const made = {
        ...(body as Thing),
        metadata: { namespace: namespaceOf(path), generation: 1, ...(body as Thing).metadata },
      };
      return [201, query.dryRun ? made : this.#save(path, made as Thing, "ADDED")];
    }
    if (live === undefined) return failure(404, "NotFound", `"${path.split("/").at(-1)}" not found`);
    if (method === "GET") return [200, live];
    if (method === "DELETE") {
      if (live.metadata.finalizers?.length) this.#save(path, live, "MODIFIED");
      else this.remove(path);
      return [200, { kind: "Status", status: "Success", metadata: {} }];
    }
    if (contentType === "application/json-patch+json")
      return this.conflicts-- > 0 ? failure(409, "Conflict", "the object has been modified") : [200, live];
    const merged = merge(live, body) as Thing;
    return [200, query.dryRun ? merged : this.#save(path, merged, "MODIFIED")];
  }

  #watch(collection: string, since: number, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    for (const { version, path, line } of this.#events)
      if (version > since && path.startsWith(`${collection}/`)) response.write(line);
    const watcher = { collection, response };
    this.#watchers.add(watcher);
    response.once("close", () => this.#watchers.delete(watcher));
  }

  #save(path: string, thing: Thing, type: string): Thing {
    const saved = { ...thing, metadata: { ...thing.metadata, resourceVersion: String(++this.#version) } };
    this.#store.set(path, saved);
    this.#notify(path, type, saved);
    return saved;
  }

  #notify(path: string, type: string, object: Thing): void {
    const line = `${JSON.stringify({ type, object })}\n`;
    this.#events.push({ version: this.#version, path, line });
    for (const { collection, response } of this.#watchers)
      if (path.startsWith(`${collection}/`)) response.write(line);
  }
}

function failure(code: number, reason: string, message: string): [number, unknown] {
  return [code, { kind: "Status", status: "Failure", reason, message, code }];
}

function namespaceOf(path: string): string | undefined {
  return /\/namespaces\/([^/]+)\//.exec(path)?.[1];
}

function merge(a: unknown, b: unknown): unknown {
  const isMap = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isMap(a) || !isMap(b)) return b;
  const both: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b)) both[key] = key in both ? merge(both[key], value) : value;
  return both;
}

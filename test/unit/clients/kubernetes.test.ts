/** Tests of clients/kubernetes.ts. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { KubernetesApi } from "../../../clients/kubernetes.ts";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly accept: string;
  readonly type: string | undefined;
  readonly body: unknown;
}

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

type Answer = (response: ServerResponse, seen: Seen) => void;
const json =
  (status: number, body: object): Answer =>
  (response) =>
    void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));

/** A client, and what it sends to a server that answers everything the same. */
async function client(answer: Answer, options: { answerMs?: number; signal?: AbortSignal } = {}) {
  const requests: Seen[] = [];
  const server = createServer(async (request, response) => {
    const seen = await read(request);
    requests.push(seen);
    answer(response, seen);
  });
  const directory = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
  const socket = join(directory, "socket");
  server.listen(socket);
  await once(server, "listening");
  const target = {
    ...{ where: "cluster", files: "", context: "", contexts: [], server: "", cluster: {} },
    ...{ namespace: "", credentialPlugin: "", hasRelativePaths: false },
  };
  const api = new KubernetesApi({ socket, target }, options);
  cleanups.push(async () => {
    await api.close();
    server.close();
    server.closeAllConnections();
    rmSync(directory, { recursive: true });
  });
  return { api, requests };
}

async function read(request: IncomingMessage): Promise<Seen> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return {
    method: request.method ?? "",
    url: request.url ?? "",
    accept: request.headers.accept ?? "",
    type: request.headers["content-type"],
    body: text === "" ? undefined : JSON.parse(text),
  };
}

const POD = { metadata: { name: "p" } };
const NOT_FOUND = json(404, { kind: "Status", reason: "NotFound", message: "not found" });

it("reads: a missing object is undefined, an empty list, or false", async () => {
  const { api } = await client(NOT_FOUND);
  expect(await api.get("/x")).toBeUndefined();
  expect(await api.metadata("/x")).toBeUndefined();
  expect(await api.list("/x")).toEqual({ items: [], resourceVersion: "0" });
  expect(await api.delete("/x")).toBe(false);
});

it("gets metadata alone where that is enough", async () => {
  const { api, requests } = await client(json(200, POD));
  await api.metadata("/x");
  await api.listMetadata("/xs", { labelSelector: "app=nginx" });
  expect(requests.map(({ accept }) => accept.split(",")[0])).toEqual([
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
  ]);
  expect(requests[1]?.url).toBe("/xs?labelSelector=app%3Dnginx");
});

it("writes: each with its method, type and options", async () => {
  const { api, requests } = await client(json(200, POD));
  await api.create("/xs", POD, { dryRun: true });
  await api.apply("/xs/p", POD, { fieldManager: "me", force: true, dryRun: true });
  await api.patch("/xs/p", "merge", POD, { fieldManager: "me" });
  expect(await api.delete("/xs/p", { propagationPolicy: "Foreground", gracePeriodSeconds: 0 })).toBe(true);
  expect(requests.map(({ method, url, type }) => [method, url, type])).toEqual([
    ["POST", "/xs?fieldValidation=Warn&dryRun=All", "application/json"],
    [
      "PATCH",
      "/xs/p?fieldManager=me&fieldValidation=Warn&dryRun=All&force=true",
      "application/apply-patch+yaml",
    ],
    ["PATCH", "/xs/p?fieldManager=me&fieldValidation=Warn", "application/merge-patch+json"],
    ["DELETE", "/xs/p", "application/json"],
  ]);
  expect(requests[3]?.body).toMatchObject({ propagationPolicy: "Foreground", gracePeriodSeconds: 0 });
});

it("collects the server's warnings", async () => {
  const { api } = await client((response) => {
    response.setHeader("warning", ['299 - "would violate \\"restricted\\""', '299 - "deprecated"']);
    json(200, POD)(response, {} as Seen);
  });
  const warnings: string[] = [];
  await api.apply("/xs/p", POD, { fieldManager: "me", warnings });
  expect(warnings).toEqual(['would violate "restricted"', "deprecated"]);
});

it("a refusal is an ApiError with the server's status, reason and words", async () => {
  const { api } = await client(json(409, { kind: "Status", reason: "Conflict", message: "conflict with x" }));
  const error = { name: "ApiError", status: 409, reason: "Conflict", message: "conflict with x" };
  await expect(api.create("/xs", POD)).rejects.toMatchObject(error);
});

it.each([
  ["dial tcp 10.0.0.1:6443: connect: connection refused", "connection"],
  ["tls: failed to verify certificate: x509: certificate signed by unknown authority", "untrusted"],
  ["tls: failed to verify certificate: x509: certificate has expired or is not yet valid: x", "expired"],
])("plain text of the proxy is NoAnswer: %s", async (message, kind) => {
  const { api } = await client((response) => {
    response.writeHead(500, { "content-type": "text/plain; charset=utf-8" }).end(`${message}\n`);
  });
  await expect(api.get("/x")).rejects.toMatchObject({ name: "NoAnswer", kind, message });
});

it("plain text of the server itself is an ApiError: it has an Audit-Id", async () => {
  const { api } = await client((response) => {
    response.writeHead(500, { "content-type": "text/plain", "audit-id": "1" }).end("etcd is full\n");
  });
  await expect(api.get("/x")).rejects.toMatchObject({
    name: "ApiError",
    status: 500,
    message: "etcd is full",
  });
});

it("an answer that does not come in time, or not to its end, is NoAnswer", async () => {
  const silent = await client(() => {}, { answerMs: 50 });
  await expect(silent.api.get("/x")).rejects.toMatchObject({ name: "NoAnswer", kind: "time" });
  const cut = await client((response) => void response.writeHead(200).write("{"), { answerMs: 50 });
  await expect(cut.api.get("/x")).rejects.toMatchObject({ name: "NoAnswer", kind: "time" });
});

it.each<[string, Answer, RegExp]>([
  [
    "a page to log on",
    (response) => void response.writeHead(200, { "content-type": "text/html" }).end("<h1>Log on</h1>"),
    /^HTTP 200 with text\/html: Log on$/,
  ],
  [
    "a redirect",
    (response) => void response.writeHead(302, { location: "https://login.test/" }).end(),
    /^HTTP 302 with a redirect to https:\/\/login\.test\/$/,
  ],
  ["nothing", (response) => void response.end(), /^HTTP 200 with no type: nothing$/],
])("%s is the answer of no API server", async (_, answer, message) => {
  const { api } = await client(answer);
  await expect(api.get("/x")).rejects.toMatchObject({
    name: "NoAnswer",
    kind: "foreign",
    message: expect.stringMatching(message),
  });
});

it("a busy server is requested again after the pause that it wants, unless that is long", async () => {
  const busy = (status: number, pause: string, times: number): Answer => {
    let answers = 0;
    return (response, seen) => {
      if (answers++ >= times) return json(200, POD)(response, seen);
      response.writeHead(status, { "retry-after": pause, "audit-id": "1" }).end("too many requests");
    };
  };
  const soon = await client(busy(429, "0", 2));
  expect(await soon.api.create("/x", POD)).toEqual(POD);
  expect(soon.requests).toHaveLength(3);
  const late = await client(busy(503, "60", 1));
  await expect(late.api.get("/x")).rejects.toMatchObject({ status: 503 });
  expect(late.requests).toHaveLength(1);
  const never = await client(busy(429, "0", 99));
  await expect(never.api.get("/x")).rejects.toMatchObject({ status: 429, message: "too many requests" });
});

it("ends with the signal, with its reason", async () => {
  const ended = new AbortController();
  const { api } = await client(() => ended.abort(new Error("enough")), { signal: ended.signal });
  await expect(api.get("/x")).rejects.toThrow("enough");
});

it("watches: events arrive as they are sent, cut anywhere, until the server ends it", async () => {
  const event = (name: string) => `${JSON.stringify({ type: "MODIFIED", object: { metadata: { name } } })}\n`;
  let more: (text: string, last?: boolean) => void = () => {};
  const { api, requests } = await client((response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write(event("é").slice(0, 45));
    more = (text, last) => void (last ? response.end(text) : response.write(text));
  });
  const watch = api.watch("/xs", { fieldSelector: "metadata.name=p", resourceVersion: "7" });
  const first = watch.next();
  await until(() => requests.length === 1);
  expect(requests[0]?.url).toBe("/xs?fieldSelector=metadata.name%3Dp&resourceVersion=7&watch=true");
  more(event("é").slice(45));
  expect((await first).value?.object.metadata.name).toBe("é");
  more(event("b"), true);
  expect((await watch.next()).value?.object.metadata.name).toBe("b");
  expect((await watch.next()).done).toBe(true);
});

it("a watch ends with its own signal, quiet or not", async () => {
  const ended = new AbortController();
  const { api } = await client((response) => void response.writeHead(200).flushHeaders());
  const next = api.watch("/xs", { signal: ended.signal }).next();
  setImmediate(() => ended.abort(new Error("enough")));
  await expect(next).rejects.toThrow("enough");
});

it("reads the log of a container as text", async () => {
  const { api, requests } = await client((response) => void response.writeHead(200).end("a\nb\n"));
  expect(await api.logs("ns", "p", { container: "c", sinceSeconds: 5 })).toBe("a\nb\n");
  expect(requests[0]?.url).toBe("/api/v1/namespaces/ns/pods/p/log?container=c&sinceSeconds=5");
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

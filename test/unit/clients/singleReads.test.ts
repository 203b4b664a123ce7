/** Tests of clients/singleReads.ts. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Target } from "../../../clients/kubernetes.ts";
import { SingleReads } from "../../../clients/singleReads.ts";

let requests: string[];
let socket: string;
let api: SingleReads;
const server = createServer((request, response) => {
  requests.push(`${request.method} ${request.url}`);
  const forbidden = request.url?.startsWith("/forbidden") ?? false;
  const body = forbidden ? { kind: "Status", reason: "Forbidden", message: "no" } : { items: [] };
  response.writeHead(forbidden ? 403 : 200, { "content-type": "application/json" }).end(JSON.stringify(body));
});

beforeEach(async () => {
  requests = [];
  const directory = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
  socket = join(directory, "socket");
  server.listen(socket);
  await once(server, "listening");
  api = new SingleReads({ socket, target: { where: "cluster fake" } as Target });
});
afterEach(async () => {
  await api.close();
  server.close();
  rmSync(join(socket, ".."), { recursive: true });
});

it("sends the same read once, at the same time and later", async () => {
  const [first, second] = await Promise.all([api.list("/nodes"), api.list("/nodes")]);
  expect(await api.list("/nodes")).toBe(first);
  expect(second).toBe(first);
  expect(requests).toEqual(["GET /nodes"]);
});

it("tells apart an object, its metadata, and lists by another selector", async () => {
  await Promise.all([api.get("/a"), api.metadata("/a"), api.listMetadata("/a")]);
  await api.list("/a", { labelSelector: "app=a" });
  await Promise.all([api.get("/a"), api.metadata("/a"), api.list("/a", { labelSelector: "app=a" })]);
  expect(requests.sort()).toEqual(["GET /a", "GET /a", "GET /a", "GET /a?labelSelector=app%3Da"]);
});

it("gives every reader the error, and sends each write", async () => {
  const reads = [api.get("/forbidden"), api.get("/forbidden")].map((read) =>
    expect(read).rejects.toThrow("no"),
  );
  await Promise.all(reads);
  await api.create("/a", {}, { dryRun: true });
  await api.create("/a", {}, { dryRun: true });
  expect(requests).toHaveLength(3);
});

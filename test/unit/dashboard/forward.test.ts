/** Tests of dashboard/forward.ts. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { KubernetesApi } from "../../../clients/kubernetes.ts";
import type { Dashboard } from "../../../dashboard/dashboard.ts";
import { pathBehind, startForward } from "../../../dashboard/forward.ts";

const SERVICE = { namespace: "observe", service: "zipkin", port: 9411 };
const PREFIX = "/api/v1/namespaces/observe/services/zipkin:9411/proxy";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A forward to an API server that answers as the function does. */
async function forwardTo(
  answer: (incoming: IncomingMessage, response: ServerResponse) => void,
  limits: { readonly wholeMs?: number } = {},
): Promise<Dashboard> {
  const directory = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
  cleanups.push(() => rmSync(directory, { recursive: true }));
  const server = createServer(answer).listen(join(directory, "socket"));
  await once(server, "listening");
  cleanups.push(() => server.close());
  const target = { where: "", files: "", context: "", contexts: [], server: "", cluster: {}, namespace: "" };
  const api = new KubernetesApi({
    socket: join(directory, "socket"),
    target: { ...target, credentialPlugin: "", hasRelativePaths: false },
  });
  cleanups.push(() => api.close());
  const forward = await startForward({ api, service: SERVICE, port: 0, start: "/zipkin/", ...limits });
  cleanups.push(() => forward.close());
  return forward;
}

test.each([
  ["/zipkin/", `${PREFIX}/zipkin/`],
  ["/api/v1/query?query=a%2Fb", `${PREFIX}/api/v1/query?query=a%2Fb`],
  [`${PREFIX}/zipkin/x.js`, `${PREFIX}/zipkin/x.js`],
  [PREFIX, PREFIX],
  [`${PREFIX}2/x`, `${PREFIX}${PREFIX}2/x`],
])("%s is %s at the API server", (path, behind) => {
  expect(pathBehind(PREFIX, path)).toBe(behind);
});

test.each(["/../../../../../secrets", "/%2e%2e/%2E%2E/secrets", `${PREFIX}/../../../secrets`])(
  "%s leads out of nothing",
  (path) => {
    expect(pathBehind(PREFIX, path)).toMatch(new RegExp(`^${PREFIX}/`));
    expect(pathBehind(PREFIX, path)).not.toContain("..");
  },
);

test("status, body and headers come through, and a redirect stays on loopback", async () => {
  const forward = await forwardTo((incoming, response) => {
    const location = `${PREFIX}/zipkin/`;
    if (incoming.url === `${PREFIX}/`) response.writeHead(302, { location, "x-own": "1" }).end();
    else response.writeHead(201, { "content-type": "text/x-test" }).end(`${incoming.method} ${incoming.url}`);
  });
  expect(forward.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/zipkin\/$/);
  const redirect = await fetch(new URL("/", forward.url), { redirect: "manual" });
  expect([redirect.status, redirect.headers.get("location"), redirect.headers.get("x-own")]).toEqual([
    302,
    "/zipkin/",
    "1",
  ]);
  const page = await fetch(new URL("/zipkin/?a=1", forward.url));
  expect([page.status, page.headers.get("content-type")]).toEqual([201, "text/x-test"]);
  expect(await page.text()).toBe(`GET ${PREFIX}/zipkin/?a=1`);
});

test("a long query arrives by POST with its type", async () => {
  const forward = await forwardTo(async (incoming, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    response.end(`${incoming.method} ${incoming.headers["content-type"]} ${Buffer.concat(chunks)}`);
  });
  const type = "application/x-www-form-urlencoded";
  const answer = await fetch(new URL("/api/v1/query", forward.url), {
    method: "POST",
    headers: { "content-type": type },
    body: "query=up",
  });
  expect(await answer.text()).toBe(`POST ${type} query=up`);
});

test("a foreign Host or Origin does not reach the API server", async () => {
  let reached = 0;
  const forward = await forwardTo((_, response) => {
    reached++;
    response.end();
  });
  for (const headers of [{ host: "rebound.example" }, { origin: "http://elsewhere.example" }]) {
    const [answer] = (await once(request(forward.url, { headers }).end(), "response")) as [IncomingMessage];
    answer.resume();
    expect(answer.statusCode).toBe(403);
  }
  expect(reached).toBe(0);
});

test("an API server that breaks off is HTTP 502", async () => {
  const forward = await forwardTo((incoming) => incoming.socket.destroy());
  expect((await fetch(forward.url)).status).toBe(502);
});

test("a query that is too long is HTTP 413, and does not reach the API server", async () => {
  let reached = 0;
  const forward = await forwardTo((_, response) => {
    reached++;
    response.end();
  });
  const send = (bytes: number) =>
    fetch(new URL("/api/v1/query", forward.url), { method: "POST", body: "x".repeat(bytes) });
  const tooLong = await send(2 ** 22);
  expect([tooLong.status, await tooLong.text()]).toEqual([413, "a query has 1048576 bytes at most\n"]);
  expect([(await send(2 ** 20)).status, reached]).toEqual([200, 1]);
});

test("an answer that does not end is broken off; a browser that leaves ends it, too", async () => {
  const ended: Promise<unknown>[] = [];
  const forward = await forwardTo(
    (incoming, response) => {
      ended.push(once(incoming.socket, "close"));
      response.write("begins");
    },
    { wholeMs: 200 },
  );
  await expect(fetch(forward.url).then((answer) => answer.text())).rejects.toThrow();
  const leaving = new AbortController();
  const patient = await forwardTo((incoming, response) => {
    ended.push(once(incoming.socket, "close"));
    response.write("begins");
  });
  await fetch(patient.url, { signal: leaving.signal });
  leaving.abort();
  await Promise.all(ended);
  expect(ended).toHaveLength(2);
});

test("credentials that are not accepted any more: the page says the way out", async () => {
  const forward = await forwardTo((_, response) => response.writeHead(401).end('{"kind":"Status"}'));
  const answer = await fetch(forward.url);
  expect([answer.status, await answer.text()]).toEqual([
    502,
    expect.stringContaining("log on again, then start the dashboard again"),
  ]);
});

test("a kubectl proxy that has ended is said in words", async () => {
  const target = { where: "", files: "", context: "", contexts: [], server: "", cluster: {}, namespace: "" };
  const api = new KubernetesApi({
    socket: "/nonexistent/socket",
    target: { ...target, credentialPlugin: "", hasRelativePaths: false },
  });
  cleanups.push(() => api.close());
  const forward = await startForward({ api, service: SERVICE, port: 0 });
  cleanups.push(() => forward.close());
  expect(await (await fetch(forward.url)).text()).toBe(
    "the dashboard's kubectl proxy has ended: start the dashboard again\n",
  );
});

/** Tests of components/monitoring/prometheusAt.ts. */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { getFrom, NoPrometheus } from "../../../../components/monitoring/prometheusAt.ts";
import { makeAuthority } from "../../../support/authority.ts";

const UP = "/api/v1/query?query=up";
const soon = () => AbortSignal.timeout(10_000);

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const answering = (status: number, body: string, headers: Record<string, string> = {}) =>
  serve((_, response) => response.writeHead(status, headers).end(body));

function headersFile(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "headers");
  writeFileSync(file, text);
  return file;
}

test("a path before /api/v1 and a slash at the end of the address are kept and dropped", async () => {
  const url = await serve(({ url }, response) => response.end(JSON.stringify({ url })));
  for (const end of ["", "/"])
    expect(await getFrom({ url: `${url}/prometheus${end}` }, UP, soon())).toEqual({
      url: `/prometheus${UP}`,
    });
});

test("Prometheus' own refusal comes through", async () => {
  const url = await answering(400, '{"status":"error","error":"parse error"}');
  expect(await getFrom({ url }, UP, soon())).toEqual({ status: "error", error: "parse error" });
});

test.each([
  [401, "Unauthorized", {}, "HTTP 401: it does not accept a request without credentials"],
  [403, "", {}, "HTTP 403: it does not accept a request without credentials"],
  [404, "404 page not found", {}, /^HTTP 404: .* Does the address lack a path, as \/prometheus, or/],
  [502, "<html>", { "content-type": "text/html" }, /^HTTP 502 with text\/html, and no API of Prometheus/],
  [200, "<html>Log on", { "content-type": "text/html" }, /page of a proxy or of Grafana/],
  [
    302,
    "",
    { location: "https://logon.example/start?code=hidden" },
    "HTTP 302, a redirect to https://logon.example/start, and no API of Prometheus",
  ],
])("HTTP %d with %j and %j: the error says what answers", async (status, body, headers, words) => {
  const url = await answering(status, body, headers);
  const error = await getFrom({ url }, UP, soon()).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(NoPrometheus);
  expect((error as Error).message).toMatch(words);
});

test.each([
  ["nothing listens", "http://127.0.0.1:9", /ECONNREFUSED|bad port/],
  ["the name is unknown", "http://prometheus.invalid:9090", /ENOTFOUND|EAI_AGAIN/],
])("%s: the error has the system's own word for it", async (_, url, words) => {
  await expect(getFrom({ url }, UP, soon())).rejects.toThrow(words);
});

test("a server that is silent: no answer in time", async () => {
  const url = await serve(() => undefined);
  await expect(getFrom({ url }, UP, AbortSignal.timeout(100))).rejects.toThrow("no answer in time");
});

test("an authority that is not known, and a server without TLS", async () => {
  const server = await makeAuthority().serve((_, response) => void response.end("{}"));
  onTestFinished(() => void server.close());
  const secure = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await expect(getFrom({ url: secure }, UP, soon())).rejects.toThrow("NODE_EXTRA_CA_CERTS");
  const plain = (await answering(200, "{}")).replace("http:", "https:");
  await expect(getFrom({ url: plain }, UP, soon())).rejects.toThrow("it does not speak TLS");
});

test("headers of a file are sent; a file that is renewed is read again", async () => {
  const seen: unknown[] = [];
  const url = await serve(({ headers }, response) => {
    seen.push([headers.authorization, headers["x-scope-orgid"]]);
    response.end("{}");
  });
  const headers = headersFile("Authorization: Bearer one\r\n\nX-Scope-OrgID: shop\n");
  await getFrom({ url, headers }, UP, soon());
  writeFileSync(headers, "Authorization: Bearer two");
  await getFrom({ url, headers }, UP, soon());
  expect(seen).toEqual([
    ["Bearer one", "shop"],
    ["Bearer two", undefined],
  ]);
});

test("credentials that are refused, and a file that is none: no value is in the error", async () => {
  const url = await answering(401, "");
  const refused = headersFile("Authorization: Bearer hidden");
  await expect(getFrom({ url, headers: refused }, UP, soon())).rejects.toThrow(
    `it does not accept the credentials in ${refused}`,
  );
  const odd = headersFile("X-Scope-OrgID: shop\nBearer hidden\u0007");
  const error = await getFrom({ url, headers: odd }, UP, soon()).catch((caught: Error) => caught.message);
  expect(error).toBe(`line 2 of ${odd} is no header: give NAME: VALUE`);
  await expect(getFrom({ url, headers: "/nonexistent" }, UP, soon())).rejects.toThrow("(ENOENT)");
});

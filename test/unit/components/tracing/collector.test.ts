/** Tests of components/tracing/collector.ts. */
import { createServer, type Server } from "node:net";
import { afterEach, expect, it } from "vitest";
import { checkCollector } from "../../../../components/tracing/collector.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { OWNER } from "../../../support/preflight.ts";

let server: Server | undefined;
afterEach(() => void server?.close());

async function listening(): Promise<number> {
  const opened = createServer((socket) => socket.end());
  server = opened;
  await new Promise<void>((resolve) => opened.listen(0, "127.0.0.1", resolve));
  return (opened.address() as { port: number }).port;
}

async function warnings(host: string, port: number, paths: Paths = {}, signal = AbortSignal.timeout(20_000)) {
  const tracing = { sampling: 1, collector: { protocol: "otlp" as const, host, port } };
  const { api } = await apiOf(paths);
  const { faults, warnings } = await checkCollector({ api, config: { tracing }, owner: OWNER, signal });
  expect(faults).toEqual([]);
  return warnings;
}

const SERVICE = "/api/v1/namespaces/tools/services/jaeger";
const service = (...ports: number[]) => ({ [SERVICE]: { spec: { ports: ports.map((port) => ({ port })) } } });

it("a collector that accepts a connection: no warning", async () => {
  expect(await warnings("127.0.0.1", await listening())).toEqual([]);
});

it("a port without a listener: the warning names the endpoint and what happens to spans", async () => {
  const port = await listening();
  await new Promise((resolve) => server?.close(resolve));
  const [warning] = await warnings("127.0.0.1", port);
  expect(warning).toMatch(
    new RegExp(
      `^tracing\\.endpoint is 127\\.0\\.0\\.1:${port}, .*ECONNREFUSED.*drop their spans.*requests go on$`,
    ),
  );
});

it("a name that does not resolve", async () => {
  expect(await warnings("collector.invalid", 4317)).toMatchObject([
    expect.stringMatching(/collector\.invalid:4317, .*(ENOTFOUND|EAI_AGAIN|no answer)/),
  ]);
});

it("a connection that does not end before the preflight does", async () => {
  // An address that RFC 5737 reserves for documentation: nothing answers there.
  const [warning] = await warnings("2001:db8::1", 4317, {}, AbortSignal.abort());
  expect(warning).toContain("tracing.endpoint is [2001:db8::1]:4317, ");
});

it.each([
  ["has that port", service(16685, 4317)],
  ["has no port, as a name for another host", service()],
  ["may not be read", { [SERVICE]: 403 }],
])("a Service of the cluster that %s: no warning", async (_, paths) => {
  expect(await warnings("jaeger.tools.svc.cluster.local", 4317, paths)).toEqual([]);
});

it.each([
  ["is missing", {}, "has no Service jaeger in namespace tools"],
  ["has other ports", service(9411, 14250), "that Service has the ports 9411, 14250"],
])("a Service of the cluster that %s", async (_, paths, words) => {
  expect(await warnings("jaeger.tools.svc", 4317, paths)).toMatchObject([expect.stringContaining(words)]);
});

it("nothing is checked where Zipkin is deployed", async () => {
  const { api, requests } = await apiOf({});
  const config = { tracing: { sampling: 1, image: "zipkin" } };
  const signal = AbortSignal.timeout(20_000);
  expect((await checkCollector({ api, config, owner: OWNER, signal })).warnings).toEqual([]);
  expect(requests).toEqual([]);
});

// Real kinds of clients, through a real HAProxy and a real Envoy with the configuration of Istio's gateway.
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../clients/process.ts";
import { certificateFile } from "../../haproxy/push.ts";
import { makeCertificate } from "../support/certificates.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";
import { type EchoedRequest, GatewayStandIn } from "../support/e2e/gatewayStandIn.ts";
import { LateGateway } from "../support/e2e/lateGateway.ts";
import { inUse, longestRest, workDone } from "../support/e2e/loadBalancer.ts";
import { halfRequest, lines, SPOOFED, textOf, unusualForms } from "../support/e2e/rawClients.ts";
import { PROXY_HEADER, SiteClient } from "../support/e2e/siteClient.ts";
import { trial } from "../support/e2e/trial.ts";

const HOST = "nginx.hung.org.hk";
const site = new EdgeSite("edge-clients");
const made = makeCertificate(HOST);
const client = new SiteClient(site.machine.host, HOST, made.certificate);
let gateway: GatewayStandIn;

beforeAll(async () => {
  await site.start();
  gateway = await GatewayStandIn.start(site.lab.gateway, HOST, made);
  expect(await site.push(site.config("a", { port: gateway.port, host: HOST }))).toMatchObject({
    exitCode: 0,
  });
  await until("the first answer", async () => (await client.get()).statusCode === 200);
});
afterAll(async () => {
  await gateway?.stop();
  await site.stop();
});

describe("a client of the load balancer", () => {
  trial("speaks HTTP/1.0, as ApacheBench does, and as monitors do that name no host", async () => {
    for (const host of [[`Host: ${HOST}`], []]) {
      const answer = await client.raw(lines("GET / HTTP/1.0", ...host));
      expect(answer).toMatch(/^HTTP\/1\.[01] 200 OK\r\n/);
      expect(answer).toContain(`"host":"${HOST}"`);
    }
    expect(await client.raw(lines("GET / HTTP/1.1", "Connection: close"))).toMatch(/^HTTP\/1\.1 400 /);
  });

  trial("writes requests in unusual forms: served, or refused with a status", async () => {
    for (const [bytes, statuses] of unusualForms(HOST))
      expect((await client.raw(bytes)).match(/(?<=HTTP\/1\.1 )\d+/g)?.join(" "), bytes).toBe(statuses);
  });

  trial(
    "offers an upgrade to TLS, as Java does, or to h2c: it is not accepted, and the request is served",
    async () => {
      for (const upgrade of ["TLS/1.2", "h2c"]) {
        const offer = ["Connection: Upgrade, close", `Upgrade: ${upgrade}`];
        expect(await client.raw(lines("GET / HTTP/1.1", `Host: ${HOST}`, ...offer))).toMatch(
          /^HTTP\/1\.1 200 OK\r\n/,
        );
      }
    },
  );

  for (const offer of ["websocket", "WebSocket", "h2c, websocket"])
    trial(`opens a WebSocket with the offer ${offer}`, async () => {
      const socket = connect(80, site.machine.host);
      const key = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
      socket.write(
        lines("GET / HTTP/1.1", `Host: ${HOST}`, "Connection: Upgrade", `Upgrade: ${offer}`, ...key),
      );
      const [head] = (await once(socket, "data")) as [Buffer];
      expect(head.toString()).toMatch(/^HTTP\/1\.1 101 /);
      socket.write("ping");
      const [echoed] = (await once(socket, "data")) as [Buffer];
      expect(echoed.toString()).toBe("ping");
      expect(await longestRest(site.lab, "http")).toBeGreaterThan(3500);
      socket.destroy();
    });

  trial("writes the host with the dot of the root, with a port or without", async () => {
    for (const host of [`${HOST}.`, `${HOST}.:80`, `${HOST}:80`, HOST.toUpperCase()])
      expect((await client.get({ host })).statusCode, host).toBe(200);
  });

  trial(
    "reaches the application under its own address and scheme, and cannot pretend another one",
    async () => {
      const answer = await client.raw(
        lines("GET / HTTP/1.1", `Host: ${HOST}.`, "Connection: close", ...SPOOFED),
      );
      const { headers } = JSON.parse(
        answer.slice(answer.indexOf("{"), answer.lastIndexOf("}") + 1),
      ) as EchoedRequest;
      expect(headers["x-forwarded-for"]?.split(",")[0]).toBe(site.lab.gateway);
      expect(headers["x-envoy-external-address"]).toBe(site.lab.gateway);
      expect(headers).toMatchObject({ "x-forwarded-proto": "http", "x-forwarded-host": HOST, host: HOST });
      expect(JSON.stringify(headers)).not.toMatch(/203\.0\.113\.7|2001:db8|evil|666/);
    },
  );

  trial("keeps its trace", async () => {
    const trace = {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      tracestate: "a=b",
      "x-b3-traceid": "463ac35c9f6413ad48485a3953bb6124",
      "x-b3-spanid": "a2fb4a1d1a96d312",
      "x-b3-sampled": "1",
      b3: "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1",
    };
    expect((await client.get({ headers: trace })).echoed.headers).toMatchObject(trace);
  });

  trial("sends large headers, a large body, 100-continue, and trailers", async () => {
    expect((await client.get({ headers: { "x-large": "x".repeat(12_000) } })).statusCode).toBe(200);
    const body = Buffer.alloc(20_000_000, "x");
    const answer = await request(`http://${site.machine.host}/`, {
      method: "POST",
      headers: { host: HOST },
      body,
    });
    expect(((await answer.body.json()) as EchoedRequest).bytes).toBe(body.length);
    const start = `POST / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n`;
    const socket = connect(80, site.machine.host);
    socket.write(`${start}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`);
    const [head] = (await once(socket, "data")) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1\.1 100 /);
    socket.write("body");
    expect(await textOf(socket)).toMatch(/HTTP\/1\.1 200 OK[\s\S]*"bytes":4/);
    const encoding = "Transfer-Encoding: chunked\r\nTrailer: x-sum";
    const chunked = `${start}${encoding}\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n`;
    expect(await client.raw(chunked)).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*"bytes":4,"trailers":\{\}/);
  });
});

describe("the load balancer's log", () => {
  test("has a line for a request that fails, and none for one that does not", async () => {
    const logged = () => site.inside("journalctl --unit=haproxy --output=cat --grep='HTTP/1.1' | cat");
    const before = await logged();
    for (let i = 0; i < 5; i++) expect((await client.get()).statusCode).toBe(200);
    expect(await site.push(site.config("a", { port: 9, host: HOST }))).toMatchObject({ exitCode: 0 });
    await until("a failure", async () => (await client.get()).statusCode === 503);
    // The journal keeps the order of the requests.
    await until("its line", async () => / 503 .*"GET \/ HTTP\/1\.1"$/m.test(await logged()));
    expect((await logged()).slice(before.length)).not.toMatch(/ 200 /);
    expect(await site.push(site.config("a", { port: gateway.port, host: HOST }))).toMatchObject({
      exitCode: 0,
    });
    await until("an answer", async () => (await client.get()).statusCode === 200);
  });
});

describe("a client of port 443", () => {
  trial("that the load balancer decrypts: HTTP/2 to HAProxy, HTTP/1.1 behind it, no gRPC", async () => {
    const file = certificateFile(site.file, made.certificate);
    const tls = { mode: "terminate", redirect: false, certificateFile: file } as const;
    const config = site.config("a", { port: gateway.port, tls });
    expect(await site.push(config, { pem: made.certificate + made.key })).toMatchObject({ exitCode: 0 });
    const { status, protocol, echoed } = await client.getHttp2({ "x-forwarded-for": "203.0.113.7" });
    expect({ status, protocol }).toEqual({ status: 200, protocol: "HTTP/1.1" });
    expect(echoed?.headers).toMatchObject({
      "x-forwarded-proto": "https",
      "x-envoy-external-address": site.lab.gateway,
    });
    // gRPC's status is a trailer, which Envoy does not pass on in HTTP/1.1.
    await expect(client.say("hello")).rejects.toThrow(/INTERNAL|UNKNOWN/);
  });

  trial("that the gateway decrypts: HTTP/2 and gRPC end to end, its address by PROXY protocol", async () => {
    const spoofed = { "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "http" };
    const tls = { mode: "passthrough", redirect: false, certificateFile: "" } as const;
    for (const [proxyProtocol, address] of [
      [[], site.machine.host],
      [["http", "https"], site.lab.gateway],
      [["https"], site.lab.gateway],
    ] as const) {
      const { port, httpsPort } = gateway;
      const config = site.config("a", { port, httpsPort, tls, proxyProtocol });
      expect(await site.push(config)).toMatchObject({ exitCode: 0, stderr: "" });
      const { status, protocol, echoed } = await client.getHttp2(spoofed);
      expect({ status, protocol }).toEqual({ status: 200, protocol: "HTTP/2" });
      expect(echoed?.headers).toMatchObject({
        "x-forwarded-proto": "https",
        "x-envoy-external-address": address,
      });
      expect((await client.get({ headers: spoofed })).echoed.headers).toMatchObject({
        "x-forwarded-proto": "http",
        "x-envoy-external-address": site.lab.gateway,
      });
    }
    // A header of the protocol that the client writes itself is no part of TLS.
    await expect(client.getHttp2({}, PROXY_HEADER)).rejects.toThrow();
    expect(await client.say("hello")).toBe("hello");
    expect((await client.getHttp2({ ":authority": `${HOST}.` })).status).toBe(404);
  });
});

describe("a client behind a proxy that the load balancer trusts", () => {
  trial("reaches the application under its own address and scheme; the proxy alone is believed", async () => {
    const named = { "x-forwarded-for": "evil, 203.0.113.7", "x-forwarded-proto": "https" };
    const forwarded = async (trustedProxies: string[]) => {
      const tls = { mode: "passthrough", redirect: true, certificateFile: "" } as const;
      const more = { tls, trustedProxies, host: HOST, httpsPort: gateway.httpsPort };
      const config = site.config("a", { port: gateway.port, ...more });
      expect(await site.push(config)).toMatchObject({ exitCode: 0, stderr: "" });
      return (await client.get({ headers: named })).echoed.headers;
    };
    const headers = await forwarded([`${site.lab.gateway}/32`, "2001:db8::/32"]);
    expect(headers).toMatchObject({
      "x-envoy-external-address": "203.0.113.7",
      "x-forwarded-proto": "https",
      "x-forwarded-host": HOST,
    });
    expect(JSON.stringify(headers)).not.toContain("evil");
    // Without a scheme in the header the request came by http, and is redirected.
    expect((await client.get()).statusCode).toBe(308);
    for (const [chain, address] of [
      ["unknown", site.lab.gateway],
      ["203.0.113.7, unknown", site.lab.gateway],
      // Proxies one behind the other: what stands before the first of them, a client has written.
      ["203.0.113.7, 2001:db8::1", "203.0.113.7"],
      ["198.51.100.9, 203.0.113.7, 2001:db8::1, 2001:db8::2", "203.0.113.7"],
      ["198.51.100.9, evil, 2001:db8::1", "2001:db8::1"],
      [["2001:db8::5, 203.0.113.7", "2001:db8::1"], "203.0.113.7"],
    ] as const) {
      const of = { "x-forwarded-for": [chain].flat(), "x-forwarded-proto": "https" };
      const { headers } = (await client.get({ headers: of })).echoed;
      expect(headers["x-envoy-external-address"], String(chain)).toBe(address);
      expect(headers["x-forwarded-for"]?.split(",")[0], String(chain)).toBe(address);
    }
    // Of another address, the same headers are a client's own.
    expect(await forwarded(["198.51.100.0/24"])).toBeUndefined();
    expect(await site.push(site.config("a", { port: gateway.port }))).toMatchObject({ exitCode: 0 });
  });
});

describe("2,100 clients that send half a request", () => {
  trial(
    "close neither the site for others nor the way of a push, and are disconnected after 10 s",
    async (seen) => {
      const slow = Array.from({ length: 2100 }, () => halfRequest(site.machine.host));
      const ended = Promise.all(slow.map(({ ended }) => ended));
      try {
        await Promise.all(slow.map(({ opened }) => opened));
        // A client at another address: the machine's own.
        for (let i = 0; i < 20; i++) {
          seen.requests++;
          expect(
            await site.inside(`curl --silent --max-time 5 --header 'Host: ${HOST}' http://127.0.0.1/`),
          ).toContain('"bytes":0');
        }
        const { exitCode, stderr } = await site.push(
          site.config("a", {
            port: gateway.port,
            stats: { prometheus: { address: "127.0.0.1", port: 9101 } },
          }),
        );
        expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
        await ended;
        expect((await client.get()).statusCode).toBe(200);
      } finally {
        for (const { socket } of slow) socket.destroy();
      }
    },
  );
});

describe("requests that come before the gateway is there", () => {
  trial("leave no connection behind that keeps HAProxy busy", async (seen) => {
    const late = await LateGateway.start(site.lab);
    try {
      const { address, port } = late;
      expect(await site.push(site.config("a", { address, port }))).toMatchObject({ exitCode: 0 });
      await until("no node in use", async () => !(await inUse(site.lab, "a")));
      const answers: Promise<number>[] = [];
      // All within the second before the kernel repeats its SYN.
      for (let i = 0; i < 20; i++) {
        answers.push(site.get("/").then(({ statusCode }) => statusCode));
        await setTimeout(20);
      }
      await late.open();
      expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
      seen.requests += answers.length;
      await until("the node in use", () => inUse(site.lab, "a"));
      expect(late.counts.connections).toBeGreaterThan(0);
      const before = await workDone(site.lab);
      const checks = late.counts.checks + 2;
      await until("two health checks", async () => late.counts.checks >= checks);
      const after = await workDone(site.lab);
      const work = { loops: after.loops - before.loops, ticks: after.ticks - before.ticks };
      // A spinning connection adds 10,000 rounds and more, also on a busy machine.
      expect(work.loops).toBeLessThan(2000);
      expect(work.ticks).toBeLessThan(20);
    } finally {
      await late.stop();
    }
  });
});

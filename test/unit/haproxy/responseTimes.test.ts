/** Tests of haproxy/responseTimes.ts: as text, and in a real HAProxy between a client and a small server. */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createPort } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../../clients/process.ts";
import { labModel } from "../../../haproxy/model.ts";
import { renderHaproxy } from "../../../haproxy/render.ts";
import { BOUNDS, RESPONSE_TIME, responseTimePaths } from "../../../haproxy/responseTimes.ts";
import { bucketsOf, expectTimes, type Timed } from "../../support/haproxy/responseTimes.ts";

const OWNER = "organization/istio-lab/dev";
const names = (count: number, length = 14) =>
  Array.from({ length: count }, (_, index) => `${index}`.padStart(length, "n"));
const render = (servers: readonly string[], prometheus = true) =>
  renderHaproxy(
    labModel({
      owner: OWNER,
      nodes: servers.map((name) => ({ name, address: "192.0.2.1" })),
      nodePorts: { http2: 30934, statusPort: 30580 },
      stats: prometheus ? { prometheus: { address: "127.0.0.1", port: 9101 } } : {},
    }),
  );

describe("the text", () => {
  test("is there with the exporter alone", () => {
    expect(render(names(3), false)).not.toMatch(/txn\.began|conn_cnt|latency/);
    expect(render(names(3)).match(/set-var\(txn\.began\)/g)).toHaveLength(2);
  });

  test("counts each bucket of each server in an entry of its own, for which the table has room", () => {
    const text = render(names(3));
    const read = [...text.matchAll(/int\((\d+)\),table_conn_cnt/g)].map(([, key]) => Number(key));
    const buckets = [...Array(BOUNDS.length + 1).keys()];
    expect(read).toEqual([1, 2, 3].flatMap((id) => buckets.map((bucket) => 100 * id + bucket)));
    expect(text).toContain(`stick-table type integer size ${read.length} store conn_cnt\n`);
    const counted = [...text.matchAll(/mul\(100\),add\((\d+)\) table/g)].map(([, key]) => Number(key));
    expect(counted).toEqual([...buckets, ...buckets]);
  });

  test("is spread over as many paths as one answer of HAProxy's buffer needs", () => {
    expect(responseTimePaths([])).toEqual(["/latency"]);
    expect(responseTimePaths(names(5))).toEqual(["/latency"]);
    for (const servers of [names(40), names(20, 63), names(8, 253)]) {
      const answers = [...render(servers).matchAll(/lf-string "(.*)" if \{ path (\S+) \}$/gm)];
      expect(answers.map(([, , path]) => path)).toEqual(responseTimePaths(servers));
      const served = answers.map(([, text = ""]) =>
        text.replaceAll(/%\[[^\]]*\]/g, "1234567890").replaceAll(/\\(.)/g, "$1"),
      );
      for (const text of served) expect(text.length).toBeLessThan(15_000);
      expect(served.join("").match(/server="([^"]+)",le="\+Inf"/g)).toHaveLength(servers.length);
    }
  });
});

const without = spawnSync("haproxy", ["-v"]).status === 0 ? undefined : "no haproxy on PATH";

describe.skipIf(without)("a real HAProxy", () => {
  let directory = "";
  let haproxy: ReturnType<typeof spawn>;
  let server: Server;
  let [port, metrics] = [0, 0];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "istio-lab-times-"));
    let dropped = 0;
    server = createServer(({ url = "", socket }, response) => {
      const { searchParams } = new URL(url, "http://x");
      const drop = searchParams.get("drop");
      if (drop === "all" || (drop === "first" && dropped++ === 0)) socket.destroy();
      else if (drop !== "none") setTimeout(() => response.end("a"), Number(searchParams.get("ms")));
    });
    server.on("upgrade", ({ headers }, socket) => {
      const accept = createHash("sha1")
        .update(`${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest("base64");
      socket.end(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    [port, metrics] = [await freePort(), await freePort()];
    const { port: http2 } = server.address() as AddressInfo;
    const config = renderHaproxy(
      labModel({
        owner: OWNER,
        include: true,
        nodes: names(3).map((name) => ({ name, address: "127.0.0.1" })),
        nodePorts: { http2, statusPort: http2 },
        ports: { http: port, https: port + 1 },
        stats: { prometheus: { address: "127.0.0.1", port: metrics } },
      }),
    );
    const socket = join(directory, "worker.sock");
    const timeout = "    http-request set-timeout server 300ms if { url_param(wait) -m str short }\n";
    const own = config
      .replace(/unix@\S+/, `unix@${socket}`)
      .replaceAll(/^ +http-request set-var\(txn\.began.*\n/gm, `$&${timeout}`);
    const file = join(directory, "haproxy.cfg");
    writeFileSync(file, `global\n    nbthread 4\n${own}`);
    haproxy = spawn("haproxy", ["-f", file], { stdio: "ignore" });
    await until("haproxy", async () => (await latency()).includes(RESPONSE_TIME));
  });
  afterAll(async () => {
    haproxy.kill();
    await once(haproxy, "exit");
    server.close();
    rmSync(directory, { recursive: true });
  });

  const latency = () =>
    fetch(`http://127.0.0.1:${metrics}/latency`).then(
      (response) => response.text(),
      () => "",
    );
  const get = async (query: string): Promise<Timed & { statusCode: number }> => {
    // HAProxy answers a failure on a connection's first request; later it closes the connection.
    const dispatcher = new Client(`http://127.0.0.1:${port}`);
    const sentAt = performance.now();
    const { statusCode, body } = await request(`http://127.0.0.1:${port}/?${query}`, { dispatcher });
    const seconds = (performance.now() - sentAt) / 1000;
    await body.dump();
    await dispatcher.close();
    return { statusCode, atMost: seconds, atLeast: Number(/ms=(\d+)/.exec(query)?.[1] ?? 0) / 1000 };
  };

  test("puts answers of known times into their buckets, and loses none with several threads", async () => {
    const before = bucketsOf(await latency());
    const slow = await Promise.all([7, 60, 60, 300].map((ms) => get(`ms=${ms}`)));
    const quick = await Promise.all(Array.from({ length: 400 }, () => get("ms=0")));
    expectTimes(before, bucketsOf(await latency()), [...slow, ...quick]);
  });

  test("counts what a server answers: no failure, and one answer of a request that is retried", async () => {
    const before = bucketsOf(await latency());
    expect((await get("drop=all")).statusCode).toBe(502);
    expect((await get("drop=none&wait=short")).statusCode).toBe(504);
    const retried = await get("drop=first");
    expect(retried.statusCode).toBe(200);
    expectTimes(before, bucketsOf(await latency()), [retried]);
  });

  test("counts a WebSocket by the time to its response's headers", async () => {
    const before = bucketsOf(await latency());
    const sentAt = performance.now();
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    await once(socket, "open");
    const opened = { atLeast: 0, atMost: (performance.now() - sentAt) / 1000 };
    socket.close();
    expectTimes(before, bucketsOf(await latency()), [opened]);
  });

  test.skipIf(spawnSync("promtool", ["--version"]).error)("is a histogram to promtool", async () => {
    const input = await latency();
    expect(spawnSync("promtool", ["check", "metrics"], { input, encoding: "utf8" })).toMatchObject({
      status: 0,
      stdout: "",
      stderr: "",
    });
  });
});

async function freePort(): Promise<number> {
  const server = createPort().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

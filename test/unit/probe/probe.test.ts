/** Tests of probe/probe.ts. */
import { afterEach, describe, expect, it } from "vitest";
import { probe } from "../../../probe/probe.ts";
import { RequestStream } from "../../../probe/stream.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { deadUrl, PAGES, type PageServer, pageServer, sharesServer } from "../../support/probeServer.ts";

const EVEN = { v116: 50, v117: 50 };
const servers: PageServer[] = [];
const remember = (server: PageServer): PageServer => {
  servers.push(server);
  return server;
};
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

describe("probe", () => {
  it("counts the versions by their pages and agrees with the weights", async () => {
    const { url } = remember(await sharesServer(50));
    expect(await probe({ url, requests: 400, pages: PAGES, weights: EVEN })).toEqual({
      requests: 400,
      failed: 0,
      served: { v116: 200, v117: 200 },
      weights: EVEN,
      ok: true,
      failures: {},
    });
  });

  it("refuses shares outside the bound", async () => {
    const { url } = remember(await sharesServer(61));
    const { served, ok } = await probe({ url, requests: 400, pages: PAGES, weights: EVEN });
    expect([served, ok]).toEqual([{ v116: 244, v117: 156 }, false]);
  });

  it("sends the given Host header", async () => {
    const { url, hosts } = remember(await sharesServer(50));
    await probe({ url, host: "nginx.hung.org.hk", requests: 4, pages: PAGES, weights: EVEN });
    expect(hosts).toEqual(Array(4).fill("nginx.hung.org.hk"));
  });

  it("counts failures by reason: a status with its words, an unknown page, a broken connection", async () => {
    let seen = 0;
    const { url } = remember(
      await pageServer((request, response) => {
        const turn = seen++ % 5;
        if (turn === 0) response.end(PAGES.v116);
        else if (turn === 1) response.writeHead(503).end("no healthy upstream");
        else if (turn === 2) response.writeHead(503).end("<html><body><h1>503</h1>\nNo server\n</body>");
        else if (turn === 3) response.end("Welcome to nginx!");
        else request.socket.destroy();
      }),
    );
    const report = await probe({
      url,
      requests: 50,
      concurrency: 1,
      pages: PAGES,
      weights: { v116: 100, v117: 0 },
    });
    expect(report).toMatchObject({ requests: 50, failed: 40, served: { v116: 10, v117: 0 }, ok: false });
    expect(report.failures).toEqual({
      "status 503: no healthy upstream": 10,
      "status 503: 503 No server": 10,
      "unknown page": 10,
      UND_ERR_SOCKET: 10,
    });
  });

  it("calls a page without an end in time a timeout", async () => {
    const { url } = remember(await pageServer(() => {}));
    const report = await probe({ url, requests: 1, timeout: 50, pages: PAGES, weights: EVEN });
    expect(report.failures).toEqual({ timeout: 1 });
  });

  it("verifies a certificate: by the authority given, and for the Host header's name", async () => {
    const [mine, other] = [makeCertificate("nginx.hung.org.hk"), makeCertificate("nginx.hung.org.hk")];
    const { url } = remember(await pageServer((_, response) => response.end(PAGES.v116), mine));
    const verdictOf = async (host: string, ca?: string) => {
      const weights = { v116: 100, v117: 0 };
      const { ok, failures } = await probe({ url, host, ca, requests: 1, pages: PAGES, weights });
      return ok || Object.keys(failures).join();
    };
    expect(await verdictOf("nginx.hung.org.hk", mine.certificate)).toBe(true);
    const untrusted = "certificate not trusted: DEPTH_ZERO_SELF_SIGNED_CERT";
    expect(await verdictOf("nginx.hung.org.hk", other.certificate)).toBe(untrusted);
    expect(await verdictOf("nginx.hung.org.hk")).toBe(untrusted);
    expect(await verdictOf("other.hung.org.hk", mine.certificate)).toBe(
      "certificate not trusted: ERR_TLS_CERT_ALTNAME_INVALID",
    );
  });

  it("gives up where nothing listens, and reports how few requests it sent", async () => {
    const report = await probe({ url: await deadUrl(), requests: 4000, pages: PAGES, weights: EVEN });
    expect(report.requests).toBeLessThan(20);
    expect(report).toMatchObject({
      failed: report.requests,
      ok: false,
      failures: { ECONNREFUSED: report.requests },
    });
  });

  it("ends at its signal, with the answers so far", async () => {
    const stop = new AbortController();
    const { url } = remember(
      await pageServer((_request, response) => {
        if (servers[0]?.hosts.length === 20) stop.abort();
        else response.end(PAGES.v116);
      }),
    );
    const report = await probe({ url, requests: 4000, pages: PAGES, weights: EVEN, signal: stop.signal });
    expect(report.failed).toBe(0);
    expect(report.requests).toBeLessThan(20);
  });

  it("refuses two versions with the same page", async () => {
    const same = { v116: "hello\n", v117: "hello" };
    await expect(
      probe({ url: "http://127.0.0.1/", requests: 1, pages: same, weights: EVEN }),
    ).rejects.toThrow("v116 and v117 have the same page: give each version its own text");
  });
});

describe("RequestStream", () => {
  it("keeps its pace while the server is slow, and records every answer in the order of sending", async () => {
    const waiting: (() => void)[] = [];
    const { url, hosts } = remember(
      await pageServer((_request, response) => {
        waiting.push(() => response.end(PAGES.v117));
      }),
    );
    const stream = new RequestStream({ url, pages: PAGES, rate: 200 }).start();
    await until(() => hosts.length >= 20);
    expect(stream.answers).toEqual([]);
    const answering = setInterval(() => waiting.splice(0).forEach((answer) => void answer()), 1);
    const answers = await stream.stop();
    clearInterval(answering);
    expect(answers).toHaveLength(stream.sent);
    expect(answers.every(({ version }) => version === "v117")).toBe(true);
    expect(answers.map(({ sentAt }) => sentAt)).toEqual(
      answers.map(({ sentAt }) => sentAt).toSorted((a, b) => a - b),
    );
  });

  it("goes on at another pace, and sends nothing after its end", async () => {
    const { url } = remember(await pageServer((_request, response) => response.end(PAGES.v117)));
    const oneInAnHour = 1 / 3600;
    const stream = new RequestStream({ url, pages: PAGES, rate: oneInAnHour }).start();
    expect(stream.sent).toBe(1);
    stream.changeRate(1000);
    await until(() => stream.sent >= 100);
    stream.changeRate(oneInAnHour);
    const { sent } = stream;
    const answers = await stream.stop();
    stream.changeRate(1000);
    expect(answers).toHaveLength(sent);
    expect(stream.sent).toBe(sent);
  });

  it("counts failures, and drops answers that are older than it should keep", async () => {
    const stream = new RequestStream({ url: await deadUrl(), pages: PAGES, rate: 1000, keep: 10 }).start();
    await until(() => stream.sent >= 100);
    const answers = await stream.stop();
    expect(answers.length).toBeLessThanOrEqual(20);
    expect(answers.every(({ failure }) => failure === "ECONNREFUSED")).toBe(true);
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

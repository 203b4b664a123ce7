/** Tests of components/haproxyEdge/firstAnswer.ts, against real servers on loopback. */
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { firstAnswer } from "../../../../components/haproxyEdge/firstAnswer.ts";
import { makeCertificate } from "../../../support/certificates.ts";

const HOST = "nginx.hung.org.hk";
let server: Server | undefined;
afterEach(() => new Promise((done) => (server ? server.close(done) : done(undefined))));

async function listening(made: Server): Promise<number> {
  server = made;
  await new Promise<void>((done) => made.listen(0, "127.0.0.1", done));
  return (made.address() as AddressInfo).port;
}

/** Answers with each of the statuses in turn, then with the last one; keeps what it was sent. */
function inTurn(...statuses: number[]): { listener: RequestListener; requests: string[] } {
  const requests: string[] = [];
  return {
    requests,
    listener: (request, response) => {
      const status = statuses[Math.min(requests.length, statuses.length - 1)] ?? 200;
      requests.push(`${request.headers.host}${request.url}`);
      response.writeHead(status, { connection: "close" });
      response.end(status === 200 ? "v1.16.1\n" : "<h1>no healthy\nupstream</h1>");
    },
  };
}

const page = (port: number, https = false) => ({
  host: HOST,
  machine: { host: "127.0.0.1", ports: { http: port, https: port } },
  https,
});
const limits = { limitMs: 300, unreachedMs: 100 };
const quiet = () => {};

describe("the page answers", () => {
  it("at once: 20 requests for it, with the site's name", async () => {
    const { listener, requests } = inTurn(200);
    const port = await listening(createServer(listener));
    expect(await firstAnswer(page(port), quiet)).toEqual({ answers: true });
    expect(requests).toEqual(Array.from({ length: 20 }, () => `${HOST}/echo/test.txt`));
  });

  it("after failures, also such between answers: 20 in a row count", async () => {
    const { listener, requests } = inTurn(503, 404, 200, 200, 503, 200);
    const port = await listening(createServer(listener));
    expect(await firstAnswer(page(port), quiet)).toEqual({ answers: true });
    expect(requests).toHaveLength(25);
  });

  it("with a refusal of its own, which a policy may give to this machine", async () => {
    const port = await listening(createServer(inTurn(403).listener));
    expect(await firstAnswer(page(port), quiet)).toEqual({ answers: true });
  });

  it("by TLS, whatever authority has signed the certificate", async () => {
    const { certificate, key } = makeCertificate(HOST);
    const tls = createTlsServer({ cert: certificate, key }, inTurn(200).listener);
    const port = await listening(tls as unknown as Server);
    expect(await firstAnswer(page(port, true), quiet)).toEqual({ answers: true });
  });
});

describe("the page does not answer", () => {
  it("with a page: the status and the page's words", async () => {
    const port = await listening(createServer(inTurn(503).listener));
    const failure = "status 503: no healthy upstream";
    expect(await firstAnswer(page(port), quiet, limits)).toEqual({ answers: false, reached: true, failure });
  });

  it("because the load balancer is not reached from here: a short wait", async () => {
    const port = await listening(createServer());
    await new Promise((done) => server?.close(done));
    const failure = "ECONNREFUSED";
    expect(await firstAnswer(page(port), quiet, { limitMs: 60_000, unreachedMs: 100 })).toEqual({
      answers: false,
      reached: false,
      failure,
    });
  });

  it("for more than a second: the failure is shown meanwhile", async () => {
    const said: string[] = [];
    const port = await listening(createServer(inTurn(...Array(25).fill(503), 200).listener));
    expect(await firstAnswer(page(port), (failure) => said.push(failure))).toEqual({ answers: true });
    expect(said).toContain("status 503: no healthy upstream");
  });
});

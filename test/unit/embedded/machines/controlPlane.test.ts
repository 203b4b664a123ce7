/** Tests of embedded/machines/controlPlane.ts. */
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Instance, instance } from "../../../../embedded/host/instance.ts";
import { controlPlaneReady, makePki, pkiDir } from "../../../../embedded/machines/controlPlane.ts";

let state: string;
let lab: Instance;
let server: Server;
/** What the API server answers in turn, the last one from then on, and the requests with their users. */
let answers: number[];
const requests: { path: string | undefined; user: string | undefined }[] = [];

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), "istio-lab-control-plane-"));
  // Every address of that network is this host's own.
  lab = instance("control-plane-unit", { prefix: "127.210.7", state: state });
  await makePki(lab);
  const file = (name: string) => readFile(join(pkiDir(lab), name));
  const tls = {
    cert: await file("apiserver.crt"),
    key: await file("apiserver.key"),
    ca: await file("ca.crt"),
  };
  server = createServer({ ...tls, requestCert: true }, (request, response) => {
    requests.push({
      path: request.url,
      user: String((request.socket as TLSSocket).getPeerCertificate().subject?.CN),
    });
    response.writeHead((answers.length > 1 ? answers.shift() : answers[0]) ?? 500).end("[+]ping ok");
  });
  server.listen(6443, lab.controlPlane.address);
  await once(server, "listening");
});
afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await rm(state, { recursive: true });
});

test("an API server that is alive is waited for until it is ready, as its administrator", async () => {
  answers = [500, 403, 200];
  await controlPlaneReady(lab);
  expect(requests).toEqual(Array(3).fill({ path: "/readyz", user: "admin" }));
});

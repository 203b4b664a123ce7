/** A page server on loopback that answers in given shares, for tests of the probe. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";

export const PAGES = { v116: "v1.16.1\n", v117: "v1.17.9\n" };

export interface PageServer {
  url: string;
  /** Host header of each request seen. */
  hosts: (string | undefined)[];
  close(): Promise<void>;
}

/**
 * Answers exactly `v116Percent` of each 100 requests with v116's page, spread evenly, and the rest with
 * v117's.
 */
export function sharesServer(v116Percent: number): Promise<PageServer> {
  let seen = 0;
  return pageServer((_request, response) => {
    const before = Math.floor((seen * v116Percent) / 100);
    seen++;
    const isV116 = Math.floor((seen * v116Percent) / 100) > before;
    response.end(isV116 ? PAGES.v116 : PAGES.v117);
  });
}

/** @param tls certificate and key in PEM, for a server of https */
export async function pageServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  tls?: { certificate: string; key: string },
): Promise<PageServer> {
  const hosts: (string | undefined)[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    hosts.push(request.headers.host);
    answer(request, response);
  };
  const server = tls
    ? createSecureServer({ cert: tls.certificate, key: tls.key }, listener)
    : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? "https" : "http"}://127.0.0.1:${port}/echo/test.txt`,
    hosts,
    close: () => closed(server),
  };
}

/** An address on loopback without a listener. */
export async function deadUrl(): Promise<string> {
  const { url, close } = await pageServer(() => {});
  await close();
  return url;
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** Small seeded generator (mulberry32): the same numbers in [0, 1) at each run. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A server that only programs of this machine reach. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Until a request's headers have to be there, and until the whole request has, in milliseconds. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;

/** @throws Error `EADDRINUSE` when the port is taken. */
export async function listenOnLoopback(server: Server, port: number): Promise<void> {
  Object.assign(server, { headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS });
  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen(port, "127.0.0.1", listening);
  });
}

/** The port of a server that listens. */
export const portOf = (server: Server) => (server.address() as AddressInfo).port;

/** Ends the connections too: a browser keeps its own open. */
export async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
}

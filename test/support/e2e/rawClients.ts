/** Clients that write bytes: requests that no HTTP library sends. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A request without a body. */
export const lines = (...each: readonly string[]) => `${each.join("\r\n")}\r\n\r\n`;

/** Sends bytes to port 80, on a connection of their own. @returns the answer */
export function raw(host: string, bytes: string): Promise<string> {
  const socket = connect(80, host);
  socket.write(bytes);
  return textOf(socket);
}

/** All that comes until the end. */
export async function textOf(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  await once(socket, "close");
  return text;
}

/** A client that begins a request and sends no more. */
export function halfRequest(host: string) {
  const socket = connect(80, host);
  socket.on("error", () => undefined);
  const ended = new Promise((resolve) => socket.once("close", resolve));
  const opened = Promise.race([once(socket, "connect").catch(() => undefined), ended]);
  socket.write("GET / HTTP/1.1\r\nHost: nginx.hung.org.hk\r\n");
  // The test reads HAProxy's answer 408, because the end comes after it.
  socket.resume();
  return { socket, opened, ended };
}

/** Headers by which a client pretends to be another one, or one of a proxy; `evil` is in no true answer. */
export const SPOOFED = [
  ...["X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: [2001:db8::7]:1, 203.0.113.7"],
  ...["X-Real-IP: 203.0.113.7", "X_Forwarded_For: 203.0.113.7", "True-Client-IP: 203.0.113.7"],
  ...["Forwarded: for=203.0.113.7;proto=https", "X-Forwarded-Proto: https", "X-Forwarded-Scheme: evil"],
  ...["X-Scheme: evil", "Front-End-Https: evil", "X-Forwarded-Host: evil", "X-Forwarded-Port: 666"],
  ...["X-Forwarded-Prefix: /evil", "Proxy: evil", "X-Original-URL: /evil", "X-Rewrite-URL: /evil"],
  "X-Forwarded-Client-Cert: By=evil",
  // Envoy obeys these of a client with a private address.
  ...["X-Envoy-External-Address: 203.0.113.7", "X-Envoy-Upstream-Rq-Timeout-Ms: 1"],
  "X-Envoy-Original-Path: evil",
];

/** Requests as few clients write them, and the statuses of the answers. */
export function unusualForms(host: string): (readonly [bytes: string, statuses: string])[] {
  const end = [`Host: ${host}`, "Connection: close"];
  return [
    [lines(`GET http://${host}/ HTTP/1.1`, ...end), "200"],
    [lines(`GET http://${host}:80/ HTTP/1.1`, ...end), "200"],
    [`\r\n${lines("GET /1 HTTP/1.1", `Host: ${host}`)}${lines("PROPFIND /2 HTTP/1.1", ...end)}`, "200 200"],
    [lines("OPTIONS * HTTP/1.1", ...end), "404"],
    [lines("TRACE / HTTP/1.1", ...end), "200"],
    [lines("GET / HTTP/1.1", ...end, "Host: other"), "400"],
    [lines("GET /\u00e4 HTTP/1.1", ...end), "400"],
    [lines("POST / HTTP/1.1", ...end, "Transfer-Encoding: gzip, chunked"), "422"],
  ];
}

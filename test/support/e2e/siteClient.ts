/** A client of a load balancer in front of the stand-in of Istio's gateway, which echoes its requests. */
import { once } from "node:events";
import { connect as http2, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { connect as tcp } from "node:net";
import { connect as tls } from "node:tls";
import { request } from "undici";
import { type EchoedRequest, PROTOCOL_HEADER } from "./gatewayStandIn.ts";
import { callGrpc } from "./grpcEcho.ts";
import { raw } from "./rawClients.ts";

export class SiteClient {
  readonly #address: string;
  readonly #host: string;
  readonly #ca: string;

  /**
   * @param address the load balancer's
   * @param host the host name of all requests
   * @param ca certificate that it accepts on port 443
   */
  constructor(address: string, host: string, ca: string) {
    this.#address = address;
    this.#host = host;
    this.#ca = ca;
  }

  async get({
    host = this.#host,
    headers = {},
  }: {
    host?: string;
    headers?: Record<string, string | string[]>;
  } = {}) {
    const { statusCode, body } = await request(`http://${this.#address}/`, {
      headers: { host, ...headers },
      reset: true,
    });
    const text = await body.text();
    const echoed = (statusCode === 200 ? JSON.parse(text) : {}) as EchoedRequest;
    return { statusCode, echoed };
  }

  /**
   * Uses HTTP/2, which the other end of the TLS connection has to offer.
   * @param before bytes ahead of the TLS connection. @default none
   */
  async getHttp2(headers: OutgoingHttpHeaders, before?: Buffer) {
    const plain = tcp(443, this.#address);
    if (before) plain.write(before);
    const [ca, servername] = [this.#ca, this.#host];
    const createConnection = () => tls({ socket: plain, ca, servername, ALPNProtocols: ["h2"] });
    const session = http2(`https://${this.#address}`, { createConnection });
    const failed = once(session, "error").then(([error]) => Promise.reject(error));
    failed.catch(() => undefined);
    try {
      const stream = session.request({ ":path": "/", ":authority": this.#host, ...headers });
      const answered = once(stream, "response") as Promise<[IncomingHttpHeaders]>;
      const [answer] = await Promise.race([answered, failed]);
      const text = (await stream.setEncoding("utf8").toArray()).join("");
      const status = Number(answer[":status"]);
      const echoed = status === 200 ? (JSON.parse(text) as EchoedRequest) : undefined;
      return { status, protocol: answer[PROTOCOL_HEADER], echoed };
    } finally {
      session.destroy();
      plain.destroy();
    }
  }

  raw(bytes: string): Promise<string> {
    return raw(this.#address, bytes);
  }

  /** Calls gRPC's echo on port 443. */
  say(text: string): Promise<string> {
    return callGrpc(`${this.#address}:443`, { host: this.#host, ca: this.#ca, text });
  }
}

/** The PROXY protocol's header, version 2, of a client at 203.0.113.7. */
export const PROXY_HEADER = Buffer.from(
  ["0d0a0d0a000d0a515549540a", "2111000c", "cb007107", "cb007108", "000100bb"].join(""),
  "hex",
);

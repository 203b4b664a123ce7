/**
 * A real Envoy with the configuration of Istio's ingress gateway, in front of a server that echoes requests.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa, type ResultPromise } from "execa";
import { until } from "../../../clients/process.ts";
import { TRUSTED_PROXIES } from "../../../components/haproxyEdge/gateway.ts";
import { wheels } from "../../../embedded/toolchain/wheels/wheels.ts";
import { proxyProtocolSpec } from "../../../mesh/proxyProtocol.ts";
import type { Certificate } from "../certificates.ts";
import { startGrpcEcho } from "./grpcEcho.ts";

/** Header of each answer: the protocol of the request to the gateway. */
export const PROTOCOL_HEADER = "x-gateway-protocol";

/** The answer of the server behind Envoy. */
export interface EchoedRequest {
  readonly headers: IncomingHttpHeaders & Record<string, string | undefined>;
  readonly bytes: number;
  readonly trailers: NodeJS.Dict<string>;
}

export class GatewayStandIn {
  readonly port: number;
  /** The same with TLS, for HTTP/2 too. */
  readonly httpsPort: number;
  readonly #stop: () => Promise<void>;

  private constructor(port: number, httpsPort: number, stop: () => Promise<void>) {
    this.port = port;
    this.httpsPort = httpsPort;
    this.#stop = stop;
  }

  /** @param host the only host name with a route and a certificate */
  static async start(address: string, host: string, certificate: Certificate): Promise<GatewayStandIn> {
    const server = await startEcho();
    const grpc = await startGrpcEcho();
    const [port, httpsPort] = [await freePort(address), await freePort(address)];
    const directory = await mkdtemp(join(tmpdir(), "istio-lab-envoy-"));
    const file = join(directory, "envoy.json");
    const upstreams = { echo: portOf(server), grpc: grpc.port };
    const config = envoyConfig({ address, port, httpsPort, host, certificate, ...upstreams });
    await writeFile(file, JSON.stringify(config));
    const envoy: ResultPromise = execa(
      join(await wheels(), "envoy/_bin/envoy"),
      ["-c", file, "--log-level", "error", "--use-dynamic-base-id"],
      {
        reject: false,
        all: true,
      },
    );
    const gateway = new GatewayStandIn(port, httpsPort, async () => {
      envoy.kill();
      await envoy;
      server.closeAllConnections();
      server.close();
      grpc.stop();
      await rm(directory, { recursive: true });
    });
    await until("Envoy", async () => (await answers(address, port)) && (await answers(address, httpsPort)));
    return gateway;
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}

function envoyConfig(to: {
  address: string;
  port: number;
  httpsPort: number;
  host: string;
  certificate: Certificate;
  echo: number;
  grpc: number;
}) {
  const listener = (port: number, trusted: number, transport = {}) => ({
    address: socketAddress(to.address, port),
    listener_filters: proxyProtocolSpec({ selector: {} }).configPatches.flatMap(({ patch }) =>
      patch.operation === "INSERT_FIRST" ? [patch.value] : [],
    ),
    filter_chains: [
      {
        filters: [
          {
            name: "envoy.filters.network.http_connection_manager",
            typed_config: connectionManager(to.host, trusted),
          },
        ],
        ...transport,
      },
    ],
  });
  return {
    static_resources: {
      // A gateway that decrypts TLS gets no header of HAProxy's.
      listeners: [listener(to.port, TRUSTED_PROXIES), listener(to.httpsPort, 0, tls(to.certificate))],
      clusters: [cluster("echo", to.echo), { ...cluster("grpc", to.grpc), ...HTTP2 }],
    },
  };
}

function connectionManager(host: string, trusted: number) {
  const route = (cluster: string, match = {}) => ({ match: { prefix: "/", ...match }, route: { cluster } });
  return {
    "@type":
      "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "ingress",
    use_remote_address: true,
    xff_num_trusted_hops: trusted,
    normalize_path: true,
    http_protocol_options: { accept_http_10: true },
    upgrade_configs: [{ upgrade_type: "websocket" }],
    route_config: {
      response_headers_to_add: [{ header: { key: PROTOCOL_HEADER, value: "%PROTOCOL%" } }],
      virtual_hosts: [
        { name: "page", domains: [host, `${host}:*`], routes: [route("grpc", { grpc: {} }), route("echo")] },
        // Answers HAProxy's checks, for which Istio has a separate port.
        {
          name: "checks",
          domains: ["istio-ingressgateway"],
          routes: [{ match: { prefix: "/" }, direct_response: { status: 200 } }],
        },
      ],
    },
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
      },
    ],
  };
}

function tls({ certificate, key }: Certificate) {
  return {
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context: {
          alpn_protocols: ["h2", "http/1.1"],
          tls_certificates: [
            { certificate_chain: { inline_string: certificate }, private_key: { inline_string: key } },
          ],
        },
      },
    },
  };
}

function cluster(name: string, port: number) {
  const endpoint = { endpoint: { address: socketAddress("127.0.0.1", port) } };
  return {
    name,
    connect_timeout: "5s",
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [endpoint] }] },
  };
}

const HTTP2 = {
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

const socketAddress = (address: string, port_value: number) => ({ socket_address: { address, port_value } });

/** Answers with the request's headers and the length of its body. A WebSocket gets its own data back. */
async function startEcho(): Promise<Server> {
  const server = createServer((request, response) => {
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.on("end", () =>
      response.end(JSON.stringify({ headers: request.headers, bytes, trailers: request.trailers })),
    );
  });
  server.on("upgrade", (request, socket) => {
    // HAProxy verifies Sec-WebSocket-Accept (RFC 6455, 4.2.2).
    const proof = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(proof).digest("base64");
    const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"];
    socket.write(`${[...lines, `Sec-WebSocket-Accept: ${accept}`].join("\r\n")}\r\n\r\n`);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

async function freePort(address: string): Promise<number> {
  const server = createTcpServer().listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function answers(address: string, port: number): Promise<boolean> {
  const socket = connect(port, address);
  const answer = await Promise.race([
    once(socket, "connect").then(() => true),
    once(socket, "error").then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return answer;
}

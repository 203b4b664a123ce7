/**
 * A real Envoy, configured as Istio configures its ingress gateway, before a server that echoes what it was
 * sent.
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

/** What the server behind Envoy answers. */
export interface EchoedRequest {
  readonly headers: IncomingHttpHeaders & Record<string, string | undefined>;
  readonly bytes: number;
  readonly trailers: NodeJS.Dict<string>;
}

export class GatewayStandIn {
  readonly port: number;
  readonly #stop: () => Promise<void>;

  private constructor(port: number, stop: () => Promise<void>) {
    this.port = port;
    this.#stop = stop;
  }

  /** @param host the only host name that it has a route for */
  static async start(address: string, host: string): Promise<GatewayStandIn> {
    const server = await startEcho();
    const port = await freePort(address);
    const directory = await mkdtemp(join(tmpdir(), "istio-lab-envoy-"));
    const file = join(directory, "envoy.json");
    await writeFile(file, JSON.stringify(envoyConfig({ address, port, host, echo: portOf(server) })));
    const envoy: ResultPromise = execa(
      join(await wheels(), "envoy/_bin/envoy"),
      ["-c", file, "--log-level", "error", "--use-dynamic-base-id"],
      {
        reject: false,
        all: true,
      },
    );
    const gateway = new GatewayStandIn(port, async () => {
      envoy.kill();
      await envoy;
      server.closeAllConnections();
      server.close();
      await rm(directory, { recursive: true });
    });
    await until("Envoy", () => answers(address, port));
    return gateway;
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}

function envoyConfig({
  address,
  port,
  host,
  echo,
}: {
  address: string;
  port: number;
  host: string;
  echo: number;
}) {
  const endpoint = { endpoint: { address: socketAddress("127.0.0.1", echo) } };
  const hcm = {
    "@type":
      "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "ingress",
    use_remote_address: true,
    xff_num_trusted_hops: TRUSTED_PROXIES,
    normalize_path: true,
    http_protocol_options: { accept_http_10: true },
    upgrade_configs: [{ upgrade_type: "websocket" }],
    route_config: {
      virtual_hosts: [
        {
          name: "page",
          domains: [host, `${host}:*`],
          routes: [{ match: { prefix: "/" }, route: { cluster: "echo" } }],
        },
        // HAProxy's checks, which Istio serves on a port of their own.
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
  return {
    static_resources: {
      listeners: [
        {
          address: socketAddress(address, port),
          filter_chains: [
            { filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: hcm }] },
          ],
        },
      ],
      clusters: [
        {
          name: "echo",
          connect_timeout: "5s",
          load_assignment: { cluster_name: "echo", endpoints: [{ lb_endpoints: [endpoint] }] },
        },
      ],
    },
  };
}

const socketAddress = (address: string, port_value: number) => ({ socket_address: { address, port_value } });

/** Answers with the request's headers and the length of its body; a WebSocket gets back what it sends. */
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
    // HAProxy checks the proof that the server knows WebSocket (RFC 6455, 4.2.2).
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

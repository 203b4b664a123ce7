/** What haproxy.cfg says, as plain data: render.ts writes it, labModel makes it from the lab's settings. */
import { createHash } from "node:crypto";

/** A load balancer's configuration. */
export interface HaproxyModel {
  /** The stack, e.g. `organization/istio-lab/dev`; stands in the first line. */
  readonly owner: string;
  /** Prefix of all names of a file that lives beside others; undefined is a file alone, with `global`. */
  readonly include?: string | undefined;
  /** Host of a request in HTTP/1.0 that names none; undefined leaves it without. */
  readonly host?: string | undefined;
  /** Limit of all connections together. */
  readonly maxConnections: number;
  /** Limit of the connections of all clients; the rest is for the machine's own checks and for metrics. */
  readonly clientConnections: number;
  /** Limit of the connections from one address; no limit where all clients together have no more. */
  readonly connectionsPerSource: number;
  /** Addresses and networks of proxies in front, whose word for client and scheme counts. */
  readonly trustedProxies: readonly string[];
  /** After a reload, until the previous worker process closes the connections that it still has. */
  readonly hardStopMinutes: number;
  /** Until a request's headers have to be there. */
  readonly requestSeconds: number;
  /** Attempts to connect before the request fails. */
  readonly retries: number;
  /** Until a connection to a node has to be open; less than the 1 s after which a kernel repeats its SYN. */
  readonly connectMilliseconds: number;
  /** Idle times, in seconds. */
  readonly timeoutSeconds: {
    readonly server: number;
    readonly client: number;
    /** Of a WebSocket. */
    readonly tunnel: number;
    /** Of TLS that is passed through, in which HAProxy sees no stream. */
    readonly bytes: number;
  };
  /** True: the ports for clients are open on all IPv6 addresses, too. */
  readonly ipv6: boolean;
  /** Port for clients, on all IPv4 addresses. */
  readonly port: number;
  /** True: that port answers with a redirect to https. */
  readonly redirect: boolean;
  /** Port for TLS, on the same addresses. */
  readonly httpsPort: number;
  /** What answers there; undefined is nothing. */
  readonly https?: Https | undefined;
  /** Metrics and stats page; undefined is the admin socket alone. */
  readonly stats?: StatsEndpoints | undefined;
  readonly backend: {
    readonly name: string;
    /** Nodes with the NodePort of the gateway's port `http2`. */
    readonly servers: readonly Server[];
    /** True: a connection to a node begins with the client's address, by the PROXY protocol. */
    readonly proxyProtocol: boolean;
    readonly check: HealthCheck;
  };
}

export interface StatsEndpoints {
  /** Address of HAProxy's exporter, which answers at `/metrics`. */
  readonly prometheus?: Listen | undefined;
  /** Address of the stats page, and the {@link credential} that it requires. */
  readonly page?: (Listen & { readonly credential: string }) | undefined;
}

export interface Listen {
  /** IPv4 or IPv6 address. */
  readonly address: string;
  readonly port: number;
}

/** Decrypted requests to the one backend, or bytes unchanged to the gateway's port `https`. */
export type Https =
  | { readonly mode: "terminate" /** Chain and key in PEM. */; readonly certificateFile: string }
  | {
      readonly mode: "passthrough";
      readonly servers: readonly Server[];
      /** As for the backend of port 80. */
      readonly proxyProtocol: boolean;
    };

export interface Server {
  /** Server name; one word. */
  readonly name: string;
  /** IPv4 or IPv6 address, or a DNS name. */
  readonly address: string;
  readonly port: number;
}

/** How a node is checked. */
export interface HealthCheck {
  /** NodePort of the gateway's port `status-port`. */
  readonly port: number;
  readonly path: string;
  /** Host header: Envoy requires HTTP/1.1, which requires a Host. */
  readonly host: string;
  readonly intervalSeconds: number;
  /** The same between the first check with another result and the change of state. */
  readonly inDoubtMilliseconds: number;
  /** Failed checks until a server is out. */
  readonly fall: number;
  /** Passed checks until it is in again. */
  readonly rise: number;
}

/** A cluster node, as the load balancer reaches it. */
export interface Node {
  /** Becomes the server's name. */
  readonly name: string;
  /** IPv4 or IPv6 address, or a DNS name. */
  readonly address: string;
}

/** What differs from one lab to another; the rest is the article's. */
export interface LabModelArgs {
  readonly owner: string;
  readonly nodes: readonly Node[];
  readonly nodePorts: {
    readonly http2: number;
    readonly statusPort: number;
    readonly https?: number | undefined;
  };
  /** Host of a request in HTTP/1.0 that names none. @default such a request stays without */
  readonly host?: string | undefined;
  /** @default plain HTTP only */
  readonly tls?: LabTls | undefined;
  /** Ports for clients. @default 80 and 443 */
  readonly ports?: Ports | undefined;
  /** Limit of the connections from one address. @default half of those for clients */
  readonly connectionsPerSource?: number | undefined;
  /** Addresses and networks of proxies in front. @default none */
  readonly trustedProxies?: readonly string[] | undefined;
  /** True: the ports for clients are open on IPv6, too. @default IPv4 alone */
  readonly ipv6?: boolean | undefined;
  /** Ports of the gateway that get the client's address by the PROXY protocol. @default none */
  readonly proxyProtocol?: readonly ("http" | "https")[] | undefined;
  /** True: a file beside those of other sites, without `global`. @default a file of its own */
  readonly include?: boolean | undefined;
  /** @default the admin socket alone */
  readonly stats?: StatsEndpoints | undefined;
}

/** Ports of the load balancer for clients. */
export interface Ports {
  readonly http: number;
  readonly https: number;
}

export interface LabTls {
  readonly mode: "terminate" | "passthrough";
  readonly redirect: boolean;
  /** Chain and key in PEM, for `terminate`. */
  readonly certificateFile: string;
}

/** Connections of all clients together. */
export const CLIENT_CONNECTIONS = 1900;
/** Of them, those that one address may have. */
export const CONNECTIONS_PER_SOURCE = CLIENT_CONNECTIONS / 2;

/**
 * The article's load balancer: `maxconn 2000`, 30 s for each idle time, 5 retries, port 80, every node at the
 * gateway's NodePort. Checks and the time to connect are this project's: a node that does not answer is out
 * 2.25 s after the first failed check, and a request goes to another node long before.
 * @throws Error when the gateway has no port `https` to pass TLS through to.
 */
export function labModel({
  owner,
  nodes,
  nodePorts,
  host,
  tls,
  stats,
  ports = { http: 80, https: 443 },
  connectionsPerSource = CONNECTIONS_PER_SOURCE,
  trustedProxies = [],
  ipv6 = false,
  proxyProtocol = [],
  include = false,
}: LabModelArgs): HaproxyModel {
  const prefix = include ? ownNames(owner) : undefined;
  return {
    owner,
    include: prefix,
    host,
    maxConnections: 2000,
    clientConnections: CLIENT_CONNECTIONS,
    connectionsPerSource,
    trustedProxies,
    ipv6,
    hardStopMinutes: 60,
    requestSeconds: 10,
    retries: 5,
    connectMilliseconds: 900,
    timeoutSeconds: { server: 30, client: 30, tunnel: 3600, bytes: 300 },
    port: ports.http,
    redirect: tls?.redirect ?? false,
    httpsPort: ports.https,
    https:
      tls && httpsOf(tls, nodes, { port: nodePorts.https, proxyProtocol: proxyProtocol.includes("https") }),
    stats,
    backend: {
      name: backendName(owner, include),
      servers: nodes.map(({ name, address }) => ({ name, address, port: nodePorts.http2 })),
      proxyProtocol: proxyProtocol.includes("http"),
      check: {
        port: nodePorts.statusPort,
        path: "/healthz/ready",
        host: "istio-ingressgateway",
        intervalSeconds: 1,
        inDoubtMilliseconds: 250,
        fall: 2,
        rise: 2,
      },
    },
  };
}

/** Backend of a stack: the exporter's label `proxy`. @param include true: of a file beside others */
export const backendName = (owner: string, include: boolean): string =>
  `${include ? `${ownNames(owner)}-` : ""}k8s-istio-ingress-gateway`;

/** What the names of a stack's sections begin with, e.g. `istio-lab-dev`; short enough for a Unix socket. */
function ownNames(owner: string): string {
  const name = owner
    .split("/")
    .slice(-2)
    .join("-")
    .replace(/[^A-Za-z0-9-]/g, "-");
  return name.length <= 40 ? name : `${name.slice(0, 31)}-${sha256(owner).slice(0, 8)}`;
}

/** SHA-256 of the Basic Authorization header, so that the file does not hold the password. */
export function credential(user: string, password: string): string {
  const header = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  return sha256(header).toUpperCase();
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

function httpsOf(
  { mode, certificateFile }: LabTls,
  nodes: LabModelArgs["nodes"],
  { port, proxyProtocol }: { readonly port: number | undefined; readonly proxyProtocol: boolean },
): Https {
  if (mode === "terminate") return { mode, certificateFile };
  if (port === undefined)
    throw new Error(
      "tls.mode is passthrough, but the ingress gateway has no NodePort of the name https: use terminate",
    );
  return { mode, servers: nodes.map(({ name, address }) => ({ name, address, port })), proxyProtocol };
}

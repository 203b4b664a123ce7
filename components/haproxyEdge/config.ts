/** Settings of the load balancer: the machine with HAProxy, and the nodes behind it. */
import { z } from "zod";
import type { HostKey } from "../../clients/hostKey.ts";
import { CLIENT_CONNECTIONS, CONNECTIONS_PER_SOURCE, type Ports } from "../../haproxy/model.ts";
import { type CheckContext, type ConfigOf, field, key, slice } from "../../settings/slice.ts";
import {
  checkDistinct,
  flag,
  hostKey,
  integer,
  isFilePath,
  isHostName,
  isNetwork,
  isPlain,
  isReachable,
  object,
  port,
  privateKey,
  text,
  WANT_HOST_KEY,
} from "../../settings/values.ts";
import { statsSettings } from "../stats/config.ts";

const REQUIRED = "required, without `local`";

const node = object("give an object with name and address", {
  name: field(text("give the node's name, e.g. rancher-node02", isHostName), "Becomes HAProxy's server name"),
  address: field(
    text("give an IPv4 or IPv6 address or a DNS name", isReachable),
    "IPv4 or IPv6 address, or a DNS name, which HAProxy looks up once, when it starts",
  ),
});

/** Also names of directories: `first.last`, `user@realm`, `DOMAIN\user`. */
const USER = /^[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}(\\[A-Za-z0-9._@+-]{1,64})?\$?$/;

const WANT = {
  host: "give the address or DNS name of the machine with HAProxy",
  user: "give the name of a user that may run sudo -n, e.g. debian",
  privateKey:
    "give an SSH private key: pulumi config set --secret loadBalancerPrivateKey < ~/.ssh/id_ed25519",
};

const loadBalancer = object("give an object with host, user and hostKey, or with local", {
  local: field(
    flag().default(false),
    "HAProxy is on the machine that runs Pulumi: no SSH, so no `host`, `port`, `user`, `hostKey`, and no " +
      "`loadBalancerPrivateKey`",
  ),
  host: field(text(WANT.host, isReachable).optional(), "Address or DNS name for SSH", REQUIRED),
  port: field(port().optional(), "Port of sshd", "22"),
  user: field(
    text(WANT.user, (value) => USER.test(value)).optional(),
    "User that may run `sudo` without a password, or root",
    REQUIRED,
  ),
  hostKey: field(hostKey().optional(), "The machine's public host key, as `ssh-keyscan` prints it", REQUIRED),
  httpPort: field(port().default(80), "Port for clients, plain HTTP"),
  httpsPort: field(port().default(443), "Port for clients, TLS"),
  connectionsPerSource: field(
    integer(
      `give an integer from 2 to ${CLIENT_CONNECTIONS}; ${CLIENT_CONNECTIONS} is no limit`,
      2,
      CLIENT_CONNECTIONS,
    ).default(CONNECTIONS_PER_SOURCE),
    `Of the ${CLIENT_CONNECTIONS} connections for clients, those that one address may hold; more where ` +
      "many clients share one, behind a NAT",
  ),
  trustedProxies: field(
    z
      .array(text("give an address or a network, e.g. 192.0.2.0/24", isNetwork), {
        error: "give a list of addresses and networks",
      })
      .default([]),
    "Addresses and networks of proxies in front, such as a CDN: what they name as the client's address and " +
      "scheme counts, and the limit of one address does not hold for them",
    "none: each client speaks for itself",
  ),
  proxyProtocol: field(
    flag().optional(),
    "The gateway gets each client's address by the PROXY protocol (version 2). `true`: on all ports, " +
      "`false`: on none",
    "on port 443 with `tls.mode: passthrough`, where this stack installs Istio",
  ),
  ipv6: field(flag().default(false), "The ports for clients are open on the machine's IPv6 addresses, too"),
  configFile: field(
    text("give an absolute path of letters, digits, dots, dashes and underscores", isFilePath).optional(),
    "File that HAProxy reads",
    "`/etc/haproxy/haproxy.cfg`; with `include` `/etc/haproxy/conf.d/zz-istio-lab.cfg`",
  ),
  mode: field(
    z.enum(["file", "include"], { error: "give file or include, or nothing" }).optional(),
    "On a machine that serves other sites. `include`: the file lives beside theirs; `file`: a push " +
      "replaces " +
      "the file that is there, a destroy puts it back",
    "such a machine is refused",
  ),
  unit: field(
    text("give the name of a unit of systemd, e.g. haproxy@site", (value) =>
      /^[A-Za-z0-9][A-Za-z0-9:_.@-]{0,200}$/.test(value),
    ).default("haproxy"),
    "systemd's unit of HAProxy",
  ),
  reloadCommand: field(
    text(
      "give one line of shell without control characters",
      (value) => value.trim().length > 0 && isPlain(value, 1000),
    ).optional(),
    "Starts or reloads HAProxy where it is not under systemd; run as root",
    "systemctl",
  ),
});

/** The machine with HAProxy. */
export interface LoadBalancer {
  /** True: this machine, without SSH. @default false */
  readonly local?: boolean | undefined;
  /** Address or DNS name. */
  readonly host: string;
  /** Of sshd. */
  readonly port: number;
  /** Empty for this machine. */
  readonly user: string;
  /** @default this machine, or any that answers */
  readonly hostKey?: HostKey | undefined;
  /** Ports for clients. @default 80 and 443 */
  readonly ports?: Ports | undefined;
  /** Limit of the connections from one address. @default half of those for clients */
  readonly connectionsPerSource?: number | undefined;
  /** Addresses and networks of proxies in front. @default none */
  readonly trustedProxies?: readonly string[] | undefined;
  /** Whether the gateway gets clients' addresses by the PROXY protocol. @default see proxiedPorts */
  readonly proxyProtocol?: boolean | undefined;
  /** True: the ports for clients are open on IPv6, too. @default IPv4 alone */
  readonly ipv6?: boolean | undefined;
  readonly configFile: string;
  /** @default a machine that serves other sites is refused */
  readonly mode?: "file" | "include" | undefined;
  /** @default haproxy */
  readonly unit?: string | undefined;
  /** @default systemctl */
  readonly reloadCommand?: string | undefined;
}

export const haproxyEdgeSettings = slice({
  keys: {
    nodes: key(
      z.array(node, { error: "give a list of nodes" }).default([]),
      "Nodes behind the load balancer; prefer addresses to names",
      { otherwise: "the cluster's ready, schedulable nodes by InternalIP" },
    ),
    loadBalancer: key(
      z.preprocess((value) => value ?? {}, loadBalancer),
      "The machine with HAProxy",
    ),
    loadBalancerPrivateKey: key(
      privateKey(WANT.privateKey).optional(),
      "SSH private key for `loadBalancer.user`, without a passphrase",
      { secret: "private", otherwise: REQUIRED },
    ),
  },
  check({ nodes = [], loadBalancer }, context) {
    const { fault } = context;
    checkDistinct("nodes", nodes, "name", "give each node once", fault);
    checkDistinct("nodes", nodes, "address", "give each node once", fault);
    checkWay(context);
    if (loadBalancer) checkTogether(loadBalancer, context);
  },
  resolve: ({ nodes, loadBalancer, loadBalancerPrivateKey }) => ({
    nodes,
    loadBalancer: resolved(loadBalancer),
    /** Empty for this machine. */
    loadBalancerPrivateKey: loadBalancerPrivateKey ?? "",
  }),
});

/** Either SSH, with all that it needs, or this machine. */
function checkWay({ raw, fault }: CheckContext): void {
  const given = raw.loadBalancer ?? {};
  if (typeof given !== "object") return;
  const fields = given as Record<string, unknown>;
  const isSet = (name: string) => fields[name] !== undefined && fields[name] !== null;
  if (fields.local === true) {
    for (const name of ["host", "port", "user", "hostKey"].filter(isSet))
      fault(`loadBalancer.${name}`, fields[name], "loadBalancer.local is true: take one of the two away");
    return;
  }
  const { host, user, privateKey } = WANT;
  for (const [name, right] of Object.entries({ host, user, hostKey: WANT_HOST_KEY }))
    if (!isSet(name)) fault(`loadBalancer.${name}`, undefined, right);
  if (!raw.loadBalancerPrivateKey) fault("loadBalancerPrivateKey", undefined, privateKey);
}

/** Values that are good alone and not together. */
function checkTogether(machine: z.output<typeof loadBalancer>, { raw, valuesOf, fault }: CheckContext): void {
  const { local, httpPort, httpsPort, mode, reloadCommand } = machine;
  const { stats } = valuesOf(statsSettings);
  if (httpPort === httpsPort)
    fault("loadBalancer.httpsPort", httpsPort, "loadBalancer.httpPort is the same: give each its own");
  if (mode === "include" && reloadCommand !== undefined)
    fault(
      "loadBalancer.reloadCommand",
      reloadCommand,
      "loadBalancer.mode is include, which has to know what a unit of systemd reads: set loadBalancer.unit",
    );
  for (const [name, listen] of Object.entries(stats ?? {}))
    if (typeof listen === "object" && [httpPort, httpsPort].includes(listen.port))
      fault(
        `stats.${name}`,
        (raw.stats as Record<string, unknown>)[name],
        "clients have that port: give another one",
      );
  // Prometheus in the cluster would look for 127.0.0.1 in its own pod.
  if (local && raw.monitoring !== undefined && ["0.0.0.0", "::"].includes(stats?.prometheus?.address ?? ""))
    fault(
      "stats.prometheus",
      (raw.stats as Record<string, unknown>).prometheus,
      "loadBalancer.local is true: give the address of this machine that pods reach",
    );
}

function resolved({ httpPort, httpsPort, ...rest }: z.output<typeof loadBalancer>): LoadBalancer {
  const { host = "127.0.0.1", port = 22, user = "" } = rest;
  const usual = rest.mode === "include" ? "/etc/haproxy/conf.d/zz-istio-lab.cfg" : "/etc/haproxy/haproxy.cfg";
  const configFile = rest.configFile ?? usual;
  return { ...rest, host, port, user, configFile, ports: { http: httpPort, https: httpsPort } };
}

/** The capability's part of the configuration. */
export type HaproxyEdgeConfig = ConfigOf<typeof haproxyEdgeSettings>;

/** The test page's address, for clients of the load balancer. */
export function siteUrl(host: string, ports: Ports | undefined, https: boolean): string {
  const page = new URL(`${https ? "https" : "http"}://${host}/echo/test.txt`);
  page.port = String((https ? ports?.https : ports?.http) ?? "");
  return page.href;
}

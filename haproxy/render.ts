/** Renders the model of a load balancer as haproxy.cfg. */
import { isIPv6 } from "node:net";
import { limits, redirect, requestRules } from "./clientRules.ts";
import { withFirstLine } from "./firstLine.ts";
import type { HaproxyModel, HealthCheck, Listen, Ports, Server, StatsEndpoints } from "./model.ts";
import { responseTimeAnswers, responseTimeRules, responseTimeTable } from "./responseTimes.ts";
import { whole, word } from "./words.ts";

/** Socket for `show info` and `show stat`: Debian's path. */
export const ADMIN_SOCKET = "/run/haproxy/admin.sock";

/** Socket where the worker process answers each HTTP request with its pid: push.sh finds which one serves. */
export const WORKER_SOCKET = "/run/haproxy/istio-lab.sock";

/**
 * haproxy.cfg, byte for byte the same for the same model; valid for HAProxy 2.4 and later.
 * @throws Error when a word of the model is not a single word: the last guard against a smuggled directive.
 */
export function renderHaproxy(model: HaproxyModel): string {
  const { backend, https, stats } = model;
  const sections = [
    ...(model.include === undefined ? [globals(model)] : []),
    defaults(model),
    workerCheck(model),
    frontend(model),
    ...plainBackends(backend, stats?.prometheus !== undefined),
  ];
  if (https?.mode === "terminate") sections.push(terminating(model, https.certificateFile));
  if (https?.mode === "passthrough")
    sections.push(...passingThrough(model, serverLines(https.servers, https.proxyProtocol)));
  if (stats?.prometheus) sections.push(prometheus(stats.prometheus, backend));
  if (stats?.page) sections.push(statsPage(stats.page));
  const body = sections.map((each) => apart(each, model.include)).join("\n");
  return withFirstLine(word(model.owner), body);
}

/**
 * The section of a file beside others: a name of its own, and the defaults of this file. HAProxy reads all
 * files as one, so that its sections would otherwise take the defaults of the file before.
 */
function apart(section: string, prefix: string | undefined): string {
  if (prefix === undefined) return section;
  const own = word(prefix);
  return section
    .replace(/^defaults$/m, `defaults ${own}`)
    .replace(/^frontend (\S+)$/m, `frontend ${own}-$1 from ${own}`)
    .replace(/^backend (\S+)$/m, `backend $1 from ${own}`);
}

/** Socket of {@link WORKER_SOCKET}, or the one of a file beside others. */
const workerSocket = (prefix: string | undefined) =>
  prefix === undefined ? WORKER_SOCKET : `/run/haproxy/${word(prefix)}.sock`;

/** The addresses that HAProxy listens on, as they stand on the `bind` lines. */
export function listenAddresses({
  ports,
  https,
  ipv6 = false,
  stats,
}: {
  readonly ports: Ports;
  readonly ipv6?: boolean | undefined;
  readonly https: boolean;
  readonly stats?: {
    readonly prometheus?: Listen | undefined;
    readonly page?: Listen | undefined;
  };
}): string[] {
  const clients = [ports.http, ...(https ? [ports.https] : [])].flatMap((port) => addressesOf(port, ipv6));
  return [...clients, ...[stats?.prometheus, stats?.page].flatMap((each) => (each ? socket(each) : []))];
}

/** `::` with `v6only` beside `*`, so that a machine without IPv6 keeps its IPv4 listener. */
const addressesOf = (port: number, ipv6: boolean) => [
  `*:${whole(port)}`,
  ...(ipv6 ? [`:::${whole(port)}`] : []),
];

/** The `bind` lines of a port for clients. */
function binds(port: number, { ipv6 }: HaproxyModel, options = ""): string[] {
  return addressesOf(port, ipv6).map(
    (address) => `bind ${address}${address.startsWith("::") ? " v6only" : ""}${options}`,
  );
}

function globals({ maxConnections, hardStopMinutes }: HaproxyModel): string {
  return section("global", [
    `maxconn ${whole(maxConnections)}`,
    "# After a reload the previous worker process ends with its last connection; one may last for days.",
    `hard-stop-after ${whole(hardStopMinutes)}m`,
    "log /dev/log local0 info",
    "chroot /var/lib/haproxy",
    "user haproxy",
    "group haproxy",
    `stats socket ${ADMIN_SOCKET} mode 660 level admin expose-fd listeners`,
    "stats timeout 30s",
  ]);
}

function defaults({ connectMilliseconds, timeoutSeconds, retries }: HaproxyModel): string {
  return section("defaults", [
    "log global",
    "mode http",
    "# Failures alone: a line for each request costs HAProxy and the journal more than all rules below.",
    "option httplog",
    "option dontlog-normal",
    `timeout server ${whole(timeoutSeconds.server)}s`,
    `timeout client ${whole(timeoutSeconds.client)}s`,
    "# An open WebSocket may be silent for longer; TCP keepalive finds a client that is gone.",
    `timeout tunnel ${whole(timeoutSeconds.tunnel)}s`,
    `timeout client-fin ${whole(timeoutSeconds.client)}s`,
    `timeout server-fin ${whole(timeoutSeconds.server)}s`,
    "option clitcpka",
    "clitcpka-idle 60s",
    "clitcpka-intvl 10s",
    "clitcpka-cnt 3",
    "# Below the 1 s of a repeated SYN. Where the first SYN brings an ICMP error (a node without a " +
      "gateway) and the second",
    "# one succeeds, the error stays queued, and HAProxy 2.6 uses a whole core for as long as that " +
      "connection lives.",
    `timeout connect ${whole(connectMilliseconds)}ms`,
    `retries ${whole(retries)}`,
    "# A retry goes to another node. A reload closes an idle connection after its next answer, not before.",
    "option redispatch 1",
    "option idle-close-on-response",
    "# TCP keepalive: a node that is cut off is detected within 3 s, on connections in use too.",
    "option srvtcpka",
    "srvtcpka-idle 1s",
    "srvtcpka-intvl 1s",
    "srvtcpka-cnt 2",
    "# A node whose name cannot be resolved at the start is left out, and HAProxy starts without it.",
    "default-server init-addr last,libc,none",
  ]);
}

function workerCheck({ include }: HaproxyModel): string {
  return section("frontend worker", [
    "# push.sh checks here which worker process serves. The clients' limits leave room for it.",
    `bind unix@${workerSocket(include)} mode 600`,
    "http-request return status 200 content-type text/plain lf-string %pid",
  ]);
}

function frontend(model: HaproxyModel): string {
  return section("frontend http", [
    ...binds(model.port, model),
    ...limits(model),
    ...requestRules(model, "http"),
    ...redirect(model),
    ...toBackend(model.backend.name),
  ]);
}

/** @param timed true: their answers are counted by the time that they take, both in the first one's table */
function plainBackends(
  { name, servers, proxyProtocol, check }: HaproxyModel["backend"],
  timed: boolean,
): string[] {
  const retries = [
    "# Retry a GET on another node when a node closes the connection without an answer.",
    "retry-on conn-failure empty-response",
    "http-request disable-l7-retry unless METH_GET",
  ];
  const lines = serverLines(servers, proxyProtocol);
  const table = timed ? [responseTimeTable(servers.length)] : [];
  const rules = timed ? responseTimeRules(name) : [];
  return [
    section(`backend ${word(name)}`, [...table, ...retries, ...rules, ...checks(check), ...lines]),
    lastResort(name, [...retries, ...rules, ...lines]),
  ];
}

/** For a frontend: the backend, or its {@link lastResort}. */
function toBackend(name: string): string[] {
  return [
    `use_backend ${word(name)}-unchecked if { nbsrv(${word(name)}) eq 0 }`,
    `default_backend ${word(name)}`,
  ];
}

/**
 * The checks of all nodes end at the one gateway: when it is too busy to answer them, all nodes are out at
 * once, though it still answers requests. Envoy calls that panic mode.
 */
function lastResort(name: string, lines: readonly string[]): string {
  return section(`backend ${word(name)}-unchecked`, [
    "# No node passes its checks: try them all the same, but fail fast.",
    "retries 2",
    ...lines,
  ]);
}

function terminating(model: HaproxyModel, certificateFile: string): string {
  return section("frontend https", [
    ...binds(model.httpsPort, model, ` ssl crt ${word(certificateFile)} alpn h2,http/1.1`),
    ...limits(model),
    ...requestRules(model, "https"),
    ...toBackend(model.backend.name),
  ]);
}

function passingThrough(model: HaproxyModel, servers: readonly string[]): string[] {
  const { backend, timeoutSeconds } = model;
  const name = `${backend.name}-https`;
  const tcp = ["mode tcp", `timeout tunnel ${whole(timeoutSeconds.bytes)}s`];
  return [
    section("frontend https", [
      "mode tcp",
      "option tcplog",
      "no option idle-close-on-response",
      ...binds(model.httpsPort, model),
      ...limits(model),
      ...toBackend(name),
    ]),
    section(`backend ${word(name)}`, [...tcp, ...checks(backend.check), ...servers]),
    lastResort(name, [...tcp, ...servers]),
  ];
}

function prometheus(listen: Listen, { name, servers }: HaproxyModel["backend"]): string {
  return section("frontend prometheus", [
    `bind ${socket(listen)}`,
    "http-request use-service prometheus-exporter if { path /metrics }",
    ...responseTimeAnswers(
      name,
      servers.map((server) => server.name),
    ),
    "http-request return status 404",
  ]);
}

function statsPage({ credential, ...listen }: NonNullable<StatsEndpoints["page"]>): string {
  return section("frontend stats", [
    `bind ${socket(listen)}`,
    "stats enable",
    "stats uri /",
    "stats hide-version",
    "# SHA-256 of the Authorization header, so that this file does not hold the password.",
    "stats http-request auth realm HAProxy unless { req.hdr(authorization),sha2(256),hex -m str " +
      `${word(credential)} }`,
  ]);
}

function checks(check: HealthCheck): string[] {
  return [
    "# Envoy answers checks in HTTP/1.1 only, on the gateway's status port.",
    "option httpchk",
    `http-check send meth GET uri ${word(check.path)} ver HTTP/1.1 hdr Host ${word(check.host)}`,
    "http-check expect status 200",
    `default-server check port ${whole(check.port)} inter ${whole(check.intervalSeconds)}s fastinter ` +
      `${whole(check.inDoubtMilliseconds)}ms fall ${whole(check.fall)} rise ${whole(check.rise)}`,
  ];
}

/**
 * A server that does not acknowledge data within 2 s is gone. HAProxy 2.6 ignores `tcp-ut` on
 * `default-server`. Checks have a port of their own, and so go without the PROXY protocol.
 */
function serverLines(servers: readonly Server[], proxyProtocol: boolean): string[] {
  const more = proxyProtocol ? " send-proxy-v2" : "";
  return servers.map(
    ({ name, address, port }) => `server ${word(name)} ${socket({ address, port })} tcp-ut 2s${more}`,
  );
}

function socket({ address, port }: Listen): string {
  return `${isIPv6(address) ? `[${address}]` : word(address)}:${whole(port)}`;
}

function section(title: string, lines: readonly string[]): string {
  return [title, ...lines.map((line) => `    ${line}`), ""].join("\n");
}

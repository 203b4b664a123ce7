/** Lines of a frontend for clients as they are: limits, times, headers, and the redirect to https. */
import type { HaproxyModel } from "./model.ts";
import { whole, word } from "./words.ts";

/** Both ports share the clients' connections evenly; one client has a whole /64 of IPv6. */
export function limits({
  clientConnections,
  connectionsPerSource,
  trustedProxies,
  https,
}: HaproxyModel): string[] {
  const ports = https ? 2 : 1;
  const first = [
    `maxconn ${whole(Math.floor(clientConnections / ports))}`,
    ...trustedProxies.map((network) => `acl of_proxy src ${word(network)}`),
  ];
  if (connectionsPerSource >= clientConnections) return first;
  const counted = trustedProxies.length > 0 ? " unless of_proxy" : "";
  return [
    ...first,
    "# Clients that are slow or many leave room for others. The limit of one address is " +
      "loadBalancer.connectionsPerSource.",
    "stick-table type ipv6 size 100k expire 1m store conn_cur",
    `tcp-request connection track-sc0 src,ipmask(32,64)${counted}`,
    `tcp-request connection reject if { sc0_conn_cur gt ${whole(Math.floor(connectionsPerSource / ports))} }`,
  ];
}

/**
 * Headers that a proxy sets: address, scheme, host, path and certificate of a client, and Envoy's own, which
 * it takes from clients with private addresses. HAProxy has names in lower case.
 */
const PROXY_HEADERS = [
  "^(x[-_](forwarded|envoy)[-_].*",
  "(x[-_])?forwarded",
  "(x[-_](real|client|cluster[-_]client)|true[-_]client)[-_]ip",
  "x[-_](original|rewrite)[-_](url|host)",
  "x[-_](url[-_])?scheme",
  "front[-_]end[-_]https",
  "proxy)$",
].join("|");

/** In this order: the host that is added is the one that the application gets. */
export function requestRules(
  { requestSeconds, timeoutSeconds, trustedProxies, host }: HaproxyModel,
  scheme: "http" | "https",
): string[] {
  const behind = trustedProxies.length > 0;
  return [
    `timeout http-request ${whole(requestSeconds)}s`,
    `timeout http-keep-alive ${whole(timeoutSeconds.client)}s`,
    "# Envoy routes by the name without the dot of the root at its end.",
    "http-request replace-header Host ^(.*)\\.(:[0-9]+)?$ \\1\\2",
    ...(host === undefined ? [] : hostOfOldClients(host)),
    ...(behind ? clientOfProxy(scheme, trustedProxies) : []),
    "# Gateway and application trust what they get of their one proxy, so a client's own is removed, also " +
      "with `_` for `-`.",
    `http-request del-header ${PROXY_HEADERS} -m reg`,
    `http-request add-header X-Forwarded-For ${behind ? "%[var(txn.client)]" : "%[src]"}`,
    `http-request add-header X-Forwarded-Proto ${behind ? "%[var(txn.scheme)]" : scheme}`,
    "http-request add-header X-Forwarded-Host %[req.hdr(Host)]",
    "# Envoy answers 403 to an upgrade that it does not know, e.g. to TLS/1.2, which Java clients offer, " +
      "and to a list.",
    "acl offers_websocket req.hdr(Upgrade) -i websocket",
    "http-request set-header Upgrade websocket if offers_websocket",
    "http-request del-header Upgrade unless offers_websocket",
  ];
}

/** Of proxies one behind the other, so many may name the next one. */
const LONGEST_CHAIN = 4;

/**
 * From the end of X-Forwarded-For, the first address that is no proxy's: what stands before it, that client
 * may have written. A missing or faulty address leaves the variable as it is, and ends the search.
 */
function clientOfProxy(scheme: string, networks: readonly string[]): string[] {
  const named = (index: number) => `req.hdr_ip(X-Forwarded-For,-${index})`;
  const further = Array.from({ length: LONGEST_CHAIN - 1 }, (_, index) => index + 2).map(
    (index) =>
      `http-request set-var(txn.client) ${named(index)} if of_proxy names_proxy ` +
      `{ ${named(index - 1)} -m found }`,
  );
  return [
    "# A proxy of loadBalancer.trustedProxies names its client, which may be another one, and the scheme.",
    ...networks.map((network) => `acl names_proxy var(txn.client) -m ip ${word(network)}`),
    "http-request set-var(txn.client) src",
    `http-request set-var(txn.client) ${named(1)} if of_proxy`,
    ...further,
    `http-request set-var(txn.scheme) str(${scheme})`,
    "acl names_scheme req.hdr(X-Forwarded-Proto) -i http https",
    "http-request set-var(txn.scheme) req.hdr(X-Forwarded-Proto),lower if of_proxy names_scheme",
  ];
}

function hostOfOldClients(host: string): string[] {
  return [
    "# HTTP/1.0 has no Host, and old monitors send none.",
    `http-request set-header Host ${word(host)} if HTTP_1.0 !{ req.hdr(Host) -m found }`,
  ];
}

/** A client's Host has its port only where it is not the usual one, which then has to become another. */
export function redirect({ redirect, trustedProxies, port, httpsPort }: HaproxyModel): string[] {
  if (!redirect) return [];
  const unless = trustedProxies.length > 0 ? " unless { var(txn.scheme) -m str https }" : "";
  if (port === 80 && httpsPort === 443) return [`http-request redirect scheme https code 308${unless}`];
  const to = httpsPort === 443 ? "" : `:${whole(httpsPort)}`;
  return [`http-request redirect prefix https://%[req.hdr(Host),field(1,:)]${to} code 308${unless}`];
}

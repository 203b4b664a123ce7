/** The EnvoyFilters by which a gateway reads a client's address from the PROXY protocol. Pure. */
import { HTTP_FILTER, PACKAGE } from "./envoy.ts";

/** A port for clients, at which the gateway reads it. */
export type ProxiedPort = "http" | "https";

export interface ProxyProtocolArgs {
  /** Labels of the gateway's pods. */
  readonly selector: Readonly<Record<string, string>>;
  /** The pods' port. @default all ports: the Service names it, and does not number it */
  readonly port?: number | undefined;
  /** The pods' port whose X-Forwarded-For and X-Forwarded-Proto one proxy sets. @default none */
  readonly trusted?: number | undefined;
}

const PROXY_FILTER = "envoy.filters.listener.proxy_protocol";

/**
 * The EnvoyFilter's spec. The gateway takes connections with the protocol and without, so that the two sides
 * of a change need not come at the same moment. Istio's `gatewayTopology.proxyProtocol` refuses those
 * without, needs new pods, and holds for all ports.
 */
export function proxyProtocolSpec({ selector, port, trusted }: ProxyProtocolArgs) {
  const at = (portNumber: number | undefined, more: object = {}) => ({
    context: "GATEWAY",
    listener: { ...(portNumber === undefined ? {} : { portNumber }), ...more },
  });
  return {
    workloadSelector: { labels: { ...selector } },
    configPatches: [
      // A second filter would read an address that a client has written itself.
      {
        applyTo: "LISTENER_FILTER",
        match: at(port, { listenerFilter: PROXY_FILTER }),
        patch: { operation: "REMOVE" },
      },
      {
        applyTo: "LISTENER_FILTER",
        match: at(port),
        patch: {
          operation: "INSERT_FIRST",
          value: {
            name: PROXY_FILTER,
            typed_config: {
              "@type": `${PACKAGE}.filters.listener.proxy_protocol.v3.ProxyProtocol`,
              allow_requests_without_proxy_protocol: true,
            },
          },
        },
      },
      ...(trusted === undefined ? [] : [trusting(at(trusted, ofHttp))]),
    ],
  };
}

const ofHttp = { filterChain: { filter: { name: HTTP_FILTER } } };

const trusting = (match: object) => ({
  applyTo: "NETWORK_FILTER",
  match,
  patch: {
    operation: "MERGE",
    value: {
      typed_config: {
        "@type": `${PACKAGE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
        xff_num_trusted_hops: 1,
      },
    },
  },
});

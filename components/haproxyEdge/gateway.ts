/** What the load balancer needs of Istio's ingress gateway, as values of Istio's charts. */

/** Proxies in front of the gateway whose X-Forwarded-For and X-Forwarded-Proto it trusts: HAProxy. */
export const TRUSTED_PROXIES = 1;

/**
 * The gateway takes client address and scheme from HAProxy, and answers HTTP/1.0. With TLS passed through, a
 * client's own headers reach the gateway on port 443: it trusts none.
 */
export function gatewayValues(tls: { readonly mode: string } | undefined): Record<string, unknown> {
  const topology = {
    gatewayTopology: { numTrustedProxies: tls?.mode === "passthrough" ? 0 : TRUSTED_PROXIES },
  };
  return {
    gateways: {
      "istio-ingressgateway": {
        podAnnotations: { "proxy.istio.io/config": JSON.stringify(topology) },
        env: { ISTIO_META_HTTP10: "1" },
      },
    },
  };
}

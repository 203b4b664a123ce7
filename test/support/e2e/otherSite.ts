/** The haproxy.cfg of another site. */

/** Its sections, for a server in place of a node. Some names are this project's too. */
export function configOfSite(address: string, serverPort: number | undefined, port: number | string): string {
  return `defaults
  mode http
  option idle-close-on-response
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend http
  bind *:${port}
  default_backend k8s-istio-ingress-gateway
backend k8s-istio-ingress-gateway
  server a ${address}:${serverPort}`;
}

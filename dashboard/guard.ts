/** Accepts only requests of the page itself: no other origin, no other name for the loopback address. */
import type { IncomingHttpHeaders } from "node:http";

/** The part of a request that the guard checks. */
export interface GuardedRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Why a request is refused, or undefined. A page of another site can make the browser send requests to a
 * loopback port: its Origin or Sec-Fetch-Site gives it away. A name that an attacker points at 127.0.0.1 (DNS
 * rebinding) stands in the Host header.
 * @param port the port that the server listens on.
 */
export function refusal({ method, headers }: GuardedRequest, port: number): string | undefined {
  const hosts = ["127.0.0.1", "localhost", "[::1]"].map((name) => `${name}:${port}`);
  const { host = "", origin } = headers;
  if (!hosts.includes(host.toLowerCase())) return `Host ${JSON.stringify(host)} is not this dashboard`;
  if (origin !== undefined && origin !== `http://${host}`) return "requests of another origin are refused";
  const site = headers["sec-fetch-site"];
  const navigation = headers["sec-fetch-mode"] === "navigate";
  if (site !== undefined && site !== "same-origin" && site !== "none" && !navigation)
    return "requests of another site are refused";
  if (method !== "GET" && method !== "HEAD") return `method ${method} is not supported`;
  return undefined;
}

/** Sent with every answer: nothing is loaded from elsewhere, no page frames this one, nothing is cached. */
export const SECURITY_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' " +
    "data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
} as const;

/** Sent with the pages of other programs, which load what they like from their own origin. */
export const FORWARD_HEADERS = {
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
} as const;

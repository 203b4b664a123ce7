/**
 * The outputs of the program in index.ts: the one type that commands, probe, dashboard and benchmarks read.
 */
import type { Unwrap } from "@pulumi/pulumi";
import type * as program from "./index.ts";

/** The stack's outputs, by name. Derived: an export of index.ts is an output, and is here. */
export type Outputs = Unwrap<typeof program>;

/** Where the test page is, and the page of each version. */
export interface Page {
  /** For example `http://192.0.2.10/echo/test.txt`. */
  url: string;
  /** Host header. */
  host: string;
  /** The page of each version. */
  pages: Record<string, string>;
  /** Configured percent of each version. */
  weights: Record<string, number>;
}

/** Outputs that a stack of an earlier version does not have, until its next update. */
const ADDED_LATER = { namespace: "default", configFile: "/etc/haproxy/haproxy.cfg" };

/**
 * Outputs as Pulumi keeps or prints them.
 *
 * @returns undefined when the stack is not up.
 */
export function readOutputs(outputs: Readonly<Record<string, unknown>>): Outputs | undefined {
  if (!outputs.url || !outputs.pages) return undefined;
  return { ...ADDED_LATER, ...outputs } as Outputs;
}

/** The page at the load balancer's own address, so that its host name need not resolve. */
export function pageAt(address: string, { url, host, pages, weights }: Outputs): Page {
  const page = new URL(url);
  page.hostname = address.includes(":") ? `[${address}]` : address;
  return { url: page.href, host, pages, weights };
}

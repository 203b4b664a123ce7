/** Checks that a lab's subnet is free on this host, and finds a free one. */
import { LabError, run } from "../../clients/process.ts";
import { type Instance, POD_CIDR, SERVICE_CIDR } from "./instance.ts";

/** A network in use, and its user. */
export interface Taken {
  /** `a.b.c.d/len`, or one address. */
  readonly net: string;
  readonly on: string;
}

interface Link {
  readonly ifname: string;
  readonly addr_info?: readonly { local: string; prefixlen: number }[];
}

interface Route {
  readonly dst: string;
  readonly dev?: string;
}

/**
 * A VPN for all traffic replaces the default route by two routes of this length. They do not count: a lab's
 * own route is more specific.
 */
const HALF_OF_ALL = 1;

/** Networks inside the machines. */
const INSIDE: readonly Taken[] = [
  { net: POD_CIDR, on: "the lab's pods" },
  { net: SERVICE_CIDR, on: "the lab's Services" },
];

/** @throws LabError when the lab's subnet has an address or a route of the host that is not the lab's own */
export async function requireFreeSubnet(lab: Instance): Promise<void> {
  const inUse = [...INSIDE, ...(await networksOfHost(lab.link))];
  const taken = inUse.filter(({ net }) => overlaps(net, lab.subnet));
  if (taken.length === 0) return;
  const by = [...new Set(taken.map(({ net, on }) => `${net} on ${on}`))].join(", ");
  const free = freeSubnet(inUse.map(({ net }) => net));
  const advice = free ? `Choose another one: --subnet ${free} is free.` : "No private /24 is free.";
  throw new LabError(`subnet ${lab.subnet} of lab "${lab.name}" is taken: ${by}. ${advice}`);
}

/** The first private /24 that overlaps none of the networks, or undefined. */
export function freeSubnet(taken: readonly string[]): string | undefined {
  return candidates().find((subnet) => !taken.some((net) => overlaps(net, subnet)));
}

/**
 * Every private /24, one of each block first: where a VPN routes 10.0.0.0/8, the second candidate is free.
 */
function candidates(): string[] {
  const thirds = Array.from({ length: 256 }, (_, i) => 255 - i);
  const blocks = [
    ["10.211"],
    ["192.168"],
    Array.from({ length: 16 }, (_, i) => `172.${31 - i}`),
    Array.from({ length: 256 }, (_, i) => `10.${255 - i}`),
  ];
  const all = blocks.map((block) => block.flatMap((net) => thirds.map((third) => `${net}.${third}.0/24`)));
  return [...all.map(([first = ""]) => first), ...all.flat()];
}

/** Addresses and routes of the host, without those of the link. */
async function networksOfHost(link: string): Promise<Taken[]> {
  const links = JSON.parse(await run("ip", ["-json", "-4", "addr"])) as Link[];
  const routes = JSON.parse(await run("ip", ["-json", "-4", "route"])) as Route[];
  const addresses = links.flatMap(({ ifname, addr_info = [] }) =>
    addr_info.map(({ local, prefixlen }) => ({ net: `${local}/${prefixlen}`, on: ifname })),
  );
  const routed = routes
    .filter(({ dst }) => dst !== "default" && parse(dst).length > HALF_OF_ALL)
    .map(({ dst, dev }) => ({ net: dst, on: dev ?? "a route" }));
  return [...addresses, ...routed].filter(({ on }) => on !== link);
}

/** Whether two IPv4 networks share an address. */
export function overlaps(a: string, b: string): boolean {
  const [left, right] = [parse(a), parse(b)];
  const shift = 2 ** (32 - Math.min(left.length, right.length));
  return Math.floor(left.bits / shift) === Math.floor(right.bits / shift);
}

function parse(network: string): { bits: number; length: number } {
  const [address = "", length = "32"] = network.split("/");
  return {
    bits: address.split(".").reduce((bits, octet) => bits * 256 + Number(octet), 0),
    length: Number(length),
  };
}

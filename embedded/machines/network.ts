import { readdir } from "node:fs/promises";
import { LabError, run, succeeds } from "../../clients/process.ts";
import type { Instance, MachineSpec, WorkerSpec } from "../instance.ts";

interface Link {
  readonly ifname: string;
  readonly addr_info?: readonly { family: string; local: string; prefixlen: number }[];
}

/** Makes the bridge with the host's address and one network namespace a machine. Idempotent. */
export async function startNetwork(lab: Instance): Promise<void> {
  await refuseTakenSubnet(lab);
  if (!(await exists(lab.bridge))) await ip("link", "add", lab.bridge, "type", "bridge");
  await ip("addr", "replace", `${lab.gateway}/24`, "dev", lab.bridge);
  await ip("link", "set", lab.bridge, "up");
  await Promise.all(lab.machines.map((machine) => plugIn(lab, machine)));
}

/** Removes what {@link startNetwork} made, as far as it is there. */
export async function stopNetwork(lab: Instance): Promise<void> {
  for (const machine of lab.machines) await unplug(machine);
  await removeLink(lab.bridge);
}

/** Removes a machine's namespace with all that its kernel knew: links, routes, packet filters, connections. */
export async function unplug(machine: MachineSpec): Promise<void> {
  const namespaces = await readdir("/run/netns").catch(() => [] as string[]);
  if (namespaces.includes(machine.netns)) await ip("netns", "delete", machine.netns);
  await removeLink(machine.link);
}

/** The kernel removes the host's end of a pair itself, some time after the namespace with the other end. */
async function removeLink(link: string): Promise<void> {
  if ((await exists(link)) && !(await succeeds("ip", ["link", "delete", link])) && (await exists(link))) {
    await ip("link", "delete", link);
  }
}

/** A machine's namespace with a veth pair to the bridge, its address, and routes to the other nodes' pods. */
async function plugIn(lab: Instance, machine: MachineSpec): Promise<void> {
  const inside = (...args: string[]) => ip("-n", machine.netns, ...args);
  if (!(await succeeds("ip", ["-n", machine.netns, "link"]))) await ip("netns", "add", machine.netns);
  // The default route comes last: a machine that has one is whole, unless its bridge was lost.
  const whole = await run("ip", ["-n", machine.netns, "route", "show", "default"]);
  if (whole && (await succeeds("ip", ["link", "set", machine.link, "master", lab.bridge, "up"]))) return;
  await removeLink(machine.link);
  await ip("link", "add", machine.link, "type", "veth", "peer", "name", "eth0", "netns", machine.netns);
  await ip("link", "set", machine.link, "master", lab.bridge, "up");
  await inside("link", "set", "lo", "up");
  await inside("addr", "add", `${machine.address}/24`, "dev", "eth0");
  await inside("link", "set", "eth0", "up");
  const pods = machine === lab.loadBalancer ? [] : lab.workers.filter((other) => other !== machine);
  for (const worker of pods) await routeToPods(machine, worker);
  const own = lab.workers.find((worker) => worker === machine);
  if (own) await closeOwnPods(own);
  // The kubelet looks for a default route; nothing beyond the host answers on it.
  await inside("route", "add", "default", "via", lab.gateway);
}

async function routeToPods(from: MachineSpec, to: WorkerSpec): Promise<void> {
  await ip("-n", from.netns, "route", "add", to.podSubnet, "via", to.address);
}

/**
 * Until the worker's pod bridge is there again: packets for its pods would leave by the default route, and the ICMP redirect
 * that tells their sender so would keep it from new pods of the same addresses for 5 minutes.
 */
async function closeOwnPods({ netns, podSubnet }: WorkerSpec): Promise<void> {
  await ip("-n", netns, "route", "add", "unreachable", podSubnet, "metric", "4096");
}

/** @throws LabError when an address or a route of the host that is not this lab's own is in its subnet. */
export async function refuseTakenSubnet(lab: Instance): Promise<void> {
  const links = JSON.parse(await run("ip", ["-json", "-4", "addr"])) as Link[];
  const routes = JSON.parse(await run("ip", ["-json", "-4", "route"])) as { dst: string; dev?: string }[];
  const taken = [
    ...links
      .filter(({ ifname }) => ifname !== lab.bridge)
      .flatMap((link) =>
        (link.addr_info ?? []).map((a) => ({ net: `${a.local}/${a.prefixlen}`, on: link.ifname })),
      ),
    ...routes
      .filter((r) => r.dst !== "default" && r.dev !== lab.bridge)
      .map((r) => ({ net: r.dst, on: r.dev ?? "a route" })),
  ].filter(({ net }) => overlaps(net, lab.subnet));
  if (taken.length === 0) return;
  const by = [...new Set(taken.map(({ net, on }) => `${net} on ${on}`))].join(", ");
  throw new LabError(
    `subnet ${lab.subnet} of lab "${lab.name}" is taken: ${by}. Choose another with --subnet 10.211.7.0/24 (any free /24).`,
  );
}

/** Whether two IPv4 networks, `a.b.c.d/len` or one address, share an address. */
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

async function exists(link: string): Promise<boolean> {
  return succeeds("ip", ["link", "show", link]);
}

async function ip(...args: string[]): Promise<void> {
  await run("ip", args);
}

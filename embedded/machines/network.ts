/** Makes the lab's network: a switch in a namespace of its own, a cable to every machine, one to the host. */
import { readdir } from "node:fs/promises";
import { run, succeeds } from "../../clients/process.ts";
import type { Instance, MachineSpec } from "../host/instance.ts";

/** Names inside the switch's namespace. */
const BRIDGE = "bridge";
const UPLINK = "host";

/**
 * Makes the switch, the host's link to it and a network namespace for each machine. Idempotent.
 *
 * The bridge is not in the host's own namespace. There a firewall such as Docker's would filter the frames
 * between the machines, once the module br_netfilter is loaded.
 */
export async function startNetwork(lab: Instance): Promise<void> {
  await startSwitch(lab);
  await Promise.all(lab.machines.map((machine) => plugIn(lab, machine)));
}

/** Removes everything that {@link startNetwork} made. */
export async function stopNetwork(lab: Instance): Promise<void> {
  await removeLink(lab.link);
  await Promise.all(lab.machines.map(({ netns }) => removeNamespace(netns)));
  await removeNamespace(lab.switchNetns);
}

/** Removes a machine's namespace with its links, routes, packet filters and connections. */
export async function unplug(lab: Instance, machine: MachineSpec): Promise<void> {
  await removeNamespace(machine.netns);
  await removeLink(machine.link, lab.switchNetns);
}

async function startSwitch(lab: Instance): Promise<void> {
  const whole = (await exists(lab.link)) && (await exists(UPLINK, lab.switchNetns));
  if (!whole) {
    await removeLink(lab.link);
    await removeNamespace(lab.switchNetns);
    await addNamespace(lab.switchNetns);
    await ip(`link add ${lab.link} type veth peer name ${UPLINK} netns ${lab.switchNetns}`);
    await ipIn(
      lab.switchNetns,
      `link add ${BRIDGE} type bridge`,
      `link set ${BRIDGE} up`,
      `link set ${UPLINK} master ${BRIDGE} up`,
    );
  }
  await ip(`addr replace ${lab.gateway}/24 dev ${lab.link}`, `link set ${lab.link} up`);
}

/**
 * Gives a machine its namespace, its cable to the switch, its address, and routes to the other nodes' pods.
 */
async function plugIn(lab: Instance, machine: MachineSpec): Promise<void> {
  const { netns, link, address } = machine;
  if (!(await exists("lo", netns))) await addNamespace(netns);
  // The default route is added last, and goes with the cable. A machine that has one is complete.
  if (await run("ip", ["-n", netns, "route", "show", "default"])) return;
  await removeLink(link, lab.switchNetns);
  await ipIn(
    lab.switchNetns,
    `link add ${link} type veth peer name eth0 netns ${netns}`,
    `link set ${link} master ${BRIDGE} up`,
  );
  await ipIn(
    netns,
    "link set lo up",
    `addr replace ${address}/24 dev eth0`,
    "link set eth0 up",
    ...podRoutes(lab, machine),
    // The kubelet looks for a default route; the host forwards nothing.
    `route replace default via ${lab.gateway}`,
  );
}

/**
 * Routes to the pods of every worker; the load balancer gets none. On a worker each of its own pods has a
 * route. An address of its subnet without a pod is unreachable. By the default route such a packet would go
 * to the host; the ICMP redirect would then keep its sender from a new pod of the same address for 5 minutes.
 */
function podRoutes(lab: Instance, machine: MachineSpec): string[] {
  if (machine === lab.loadBalancer) return [];
  return lab.workers.map(({ address, podSubnet }) =>
    address === machine.address
      ? `route replace unreachable ${podSubnet} metric 4096`
      : `route replace ${podSubnet} via ${address}`,
  );
}

/** The kernel removes one end of a cable some time after the namespace of the other end. */
async function removeLink(link: string, netns?: string): Promise<void> {
  if (!(await exists(link, netns))) return;
  const where = netns ? ["-n", netns] : [];
  const remove = [...where, "link", "delete", link];
  if (!(await succeeds("ip", remove)) && (await exists(link, netns))) await run("ip", remove);
}

async function addNamespace(netns: string): Promise<void> {
  await run("ip", ["netns", "add", netns]);
}

async function removeNamespace(netns: string): Promise<void> {
  const namespaces = await readdir("/run/netns").catch(() => [] as string[]);
  if (namespaces.includes(netns)) await run("ip", ["netns", "delete", netns]);
}

async function exists(link: string, netns?: string): Promise<boolean> {
  return succeeds("ip", [...(netns ? ["-n", netns] : []), "link", "show", link]);
}

/** Runs commands of ip(8) in the host's namespace, until one fails. */
async function ip(...commands: string[]): Promise<void> {
  await run("ip", ["-batch", "-"], { input: commands.join("\n") });
}

async function ipIn(netns: string, ...commands: string[]): Promise<void> {
  await run("ip", ["-n", netns, "-batch", "-"], { input: commands.join("\n") });
}

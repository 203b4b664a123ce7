/** Inspects a running lab's machines from the host: the network of their pods, their cgroups. */
import { readdir, readFile } from "node:fs/promises";
import { execa } from "execa";
import { CLUSTER_DNS_IP, type Instance, type MachineSpec } from "../../../embedded/host/instance.ts";
import { initPid, runningPid } from "../../../embedded/machines/machine.ts";

/** The network of one pod. */
export interface PodNetwork {
  readonly address: string;
  /** File of its namespace, as the host opens it. */
  readonly file: string;
}

/** The networks of all pods of a worker. It needs nothing of their images. */
export async function podNetworks(worker: MachineSpec): Promise<PodNetwork[]> {
  const directory = `/proc/${await initPid(worker)}/root/run/netns`;
  return Promise.all(
    (await readdir(directory)).map(async (name) => {
      const file = `${directory}/${name}`;
      const { stdout } = await inNetwork(file, "ip", "-json", "-4", "address", "show", "eth0");
      const [link] = JSON.parse(stdout) as { addr_info: { local: string }[] }[];
      return { address: link?.addr_info[0]?.local ?? "", file };
    }),
  );
}

/** The address of the API server's Service from the cluster's DNS, as the pod gets it, or the error. */
export async function resolvedBy(pod: PodNetwork): Promise<string> {
  const script = `
    const resolver = new (require("node:dns/promises").Resolver)({ timeout: 5000, tries: 4 });
    resolver.setServers(["${CLUSTER_DNS_IP}"]);
    resolver.resolve4("kubernetes.default.svc.cluster.local").then(String, String).then(console.log);`;
  return (await inNetwork(pod.file, process.execPath, "--eval", script)).stdout;
}

/** Turns off the filtering of bridged packets, as without the module br_netfilter. */
export async function bypassFilters(lab: Instance): Promise<void> {
  const script =
    'for file in /proc/sys/net/bridge/bridge-nf-call-*; do ! [ -e "$file" ] || echo 0 >"$file"; done';
  for (const netns of [lab.switchNetns, ...lab.workers.map(({ netns }) => netns)])
    await inNetwork(`/run/netns/${netns}`, "sh", "-ec", script);
}

/** Machines that are in a wrong cgroup in some hierarchy. */
export async function strayMachines(lab: Instance): Promise<string[]> {
  const lines = lab.machines.map(async (machine) => {
    const cgroups = await readFile(`/proc/${await runningPid(machine)}/cgroup`, "utf8");
    return cgroups
      .trim()
      .split("\n")
      .filter((line) => !`${line}/`.includes(`:/${machine.cgroup}/machine/`))
      .map((line) => `${machine.name}: ${line}`);
  });
  return (await Promise.all(lines)).flat();
}

function inNetwork(file: string, ...command: string[]) {
  return execa("nsenter", [`--net=${file}`, ...command]);
}

/** A named embedded lab. Its name decides its machines, addresses and directories. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** One of the article's machines: a process tree in namespaces of its own. */
export interface MachineSpec {
  /** Host name inside the machine, and the Kubernetes node name of a worker. */
  readonly name: string;
  /** IPv4 address in the lab's subnet. */
  readonly address: string;
  /** Name of its network namespace, as `ip netns` lists it. */
  readonly netns: string;
  /** The switch's end of its veth pair; the kernel allows at most 15 characters. */
  readonly link: string;
  /**
   * Path of its cgroup below each hierarchy. Its own processes are in the child `machine`, pods beside that.
   */
  readonly cgroup: string;
  /** Directory that holds everything the machine writes. */
  readonly dir: string;
}

export interface WorkerSpec extends MachineSpec {
  /** The node's pod addresses, a /24 of {@link POD_CIDR}. */
  readonly podSubnet: string;
}

/**
 * A named embedded lab. The name fixes everything that two labs on one host must not share: links, subnet,
 * namespaces, cgroups, directories and Pulumi stack.
 */
export interface Instance {
  readonly name: string;
  /** First three octets of the machines' /24. */
  readonly prefix: string;
  readonly subnet: string;
  /** The host's end of the veth pair to the switch. It is the lab's only link on the host. */
  readonly link: string;
  /** The host's own address on that link. */
  readonly gateway: string;
  /** Network namespace of the bridge between the machines. The host's packet filter does not apply there. */
  readonly switchNetns: string;
  /** The cgroup that holds those of all machines: its path below each hierarchy. */
  readonly cgroup: string;
  readonly dir: string;
  readonly controlPlane: MachineSpec;
  readonly workers: readonly WorkerSpec[];
  readonly loadBalancer: MachineSpec;
  /** All machines, the load balancer last. */
  readonly machines: readonly MachineSpec[];
}

/** Pod and Service addresses. They exist inside a lab's machines only, so all labs use the same. */
export const POD_CIDR = "10.244.0.0/16";
export const SERVICE_CIDR = "10.96.0.0/16";
export const KUBERNETES_SERVICE_IP = "10.96.0.1";
export const CLUSTER_DNS_IP = "10.96.0.10";

/** How many workers a lab may have: the addresses between the first worker's and the load balancer's. */
export const MOST_WORKERS = 8;

/** The article's: rancher-node02 to rancher-node04. */
const DEFAULT_WORKERS = 3;

const NAME = /^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$/;

/** The fault in a lab's name, or undefined. The name is part of namespaces, directories and the stack. */
export function faultInName(name: string): string | undefined {
  return NAME.test(name)
    ? undefined
    : `--name "${name}": use 1 to 20 lower-case letters, digits and dashes, starting with a letter`;
}

/** The directory of all labs' state. */
export function stateHome(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "istio-lab");
}

/** The directory of binaries, root file systems and images, which all labs share. */
export function cacheHome(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "istio-lab");
}

/** What a new lab may have otherwise than by default. */
export interface InstanceOptions {
  /** First three octets of the machines' /24. @default 10.210.N with N from a hash of the name */
  readonly prefix?: string | undefined;
  /** Number of workers, 1 to {@link MOST_WORKERS}. @default 3 */
  readonly workers?: number | undefined;
  /** The directory of all labs' state. @default {@link stateHome} */
  readonly state?: string | undefined;
}

/** The lab of that name: as it was first started, or as given where it does not exist. */
export async function findInstance(name: string, options: InstanceOptions = {}): Promise<Instance> {
  const file = savedFile(name, options.state);
  const saved = existsSync(file)
    ? (JSON.parse(await readFile(file, "utf8")) as { prefix?: string; workers?: number })
    : options;
  return instance(name, { state: options.state, prefix: saved.prefix, workers: saved.workers });
}

/** Notes what {@link findInstance} needs to find the lab. Its directory exists. */
export async function saveInstance({ dir, prefix, workers }: Instance): Promise<void> {
  await writeFile(join(dir, SAVED), JSON.stringify({ prefix, workers: workers.length }));
}

/** Whether a lab of that name is up or being started. */
export const isSaved = (name: string, state: string) => existsSync(savedFile(name, state));

const SAVED = "instance.json";
const savedFile = (name: string, state = stateHome()) => join(state, name, SAVED);

/** The command line that brings a lab up. */
export function upCommand({ name }: Pick<Instance, "name">): string {
  return name === "lab" ? "./lab up" : `./lab up --name ${name}`;
}

/** The instance of that name and these options, whether it exists or not. */
export function instance(name: string, options: InstanceOptions = {}): Instance {
  const { prefix = prefixFor(name), workers: count = DEFAULT_WORKERS, state = stateHome() } = options;
  const id = createHash("sha256").update(name).digest("hex").slice(0, 6);
  const dir = join(state, name);
  const machine = (machineName: string, octet: number, short: string): MachineSpec => ({
    name: machineName,
    address: `${prefix}.${octet}`,
    netns: `${name}-${machineName}`,
    link: `il${id}${short}`,
    cgroup: `istio-lab-${name}/${machineName}`,
    dir: join(dir, "machines", machineName),
  });
  const controlPlane = machine("control-plane", 10, "cp");
  const workers = Array.from({ length: count }, (_, i) => ({
    ...machine(`rancher-node0${i + 2}`, 12 + i, `n${i + 2}`),
    podSubnet: `10.244.${i + 2}.0/24`,
  }));
  const loadBalancer = machine("load-balancer", 20, "lb");
  return {
    name,
    prefix,
    subnet: `${prefix}.0/24`,
    link: `il${id}br`,
    gateway: `${prefix}.1`,
    switchNetns: `${name}-switch`,
    cgroup: `istio-lab-${name}`,
    dir,
    controlPlane,
    workers,
    loadBalancer,
    machines: [controlPlane, ...workers, loadBalancer],
  };
}

function prefixFor(name: string): string {
  const n = createHash("sha256").update(name).digest().readUInt16BE(0);
  return `10.210.${n % 256}`;
}

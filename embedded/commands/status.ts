import { styleText } from "node:util";
import { execa } from "execa";
import type { Instance, MachineSpec } from "../instance.ts";
import { findInstalled } from "../lab/plugins.ts";
import { labEnvironment, stackOutputs } from "../lab/stack.ts";
import { adminKubeconfig } from "../machines/controlPlane.ts";
import { deadUnits, knownHostsFile, SSH_USER, sshKeyFile } from "../machines/loadBalancer.ts";
import { deadDaemons, runningPid } from "../machines/machine.ts";
import { ENVOY_VERSION } from "../versions.ts";

interface MachineStatus {
  readonly machine: string;
  readonly address: string;
  readonly state: "running" | "off" | "broken";
  /** What is wrong, and where to look. */
  readonly problems: readonly string[];
}

export interface Status {
  readonly name: string;
  readonly machines: readonly MachineStatus[];
  /** Problem of the cluster's API, or of nodes that are not Ready. */
  readonly cluster: readonly string[];
  /** URL and weights, when the stack is up. */
  readonly stack: { url: string; weights: Record<string, number> } | null;
  /** Whether haproxy.cfg on the load balancer is what was pushed last. */
  readonly haproxyConfig: string;
  readonly standIns: readonly string[];
  readonly ok: boolean;
}

/** Prints how the lab is, and returns the exit code: 0 up and well, 1 anything else. */
export async function printStatus(lab: Instance, { json }: { json?: true }): Promise<number> {
  const status = await readStatus(lab);
  if (json) console.log(JSON.stringify(status, null, 2));
  else console.log(render(status));
  return status.ok ? 0 : 1;
}

export async function readStatus(lab: Instance): Promise<Status> {
  const machines = await Promise.all(lab.machines.map((machine) => machineStatus(lab, machine)));
  const on = (machine: MachineSpec) => machines.some((m) => m.machine === machine.name && m.state !== "off");
  const cluster = on(lab.controlPlane) ? await clusterProblems(lab) : ["the control plane is off"];
  const outputs = on(lab.controlPlane) ? await stackOutputs(lab).catch(() => undefined) : undefined;
  const haproxyConfig =
    outputs && on(lab.loadBalancer) ? await drift(lab, outputs.configHash) : "unknown: not up";
  return {
    name: lab.name,
    machines,
    cluster,
    stack: outputs ? { url: outputs.url, weights: outputs.weights } : null,
    haproxyConfig,
    standIns: await standIns(lab),
    ok:
      machines.every(({ state }) => state === "running") &&
      cluster.length === 0 &&
      outputs !== undefined &&
      haproxyConfig === "as pushed",
  };
}

async function machineStatus(lab: Instance, machine: MachineSpec): Promise<MachineStatus> {
  const { name, address } = machine;
  if (!(await runningPid(machine))) return { machine: name, address, state: "off", problems: [] };
  const problems =
    machine === lab.loadBalancer
      ? (await deadUnits(lab)).map(({ unit, state }) => `${unit} is ${state}: ./lab logs ${name}`)
      : (await deadDaemons(machine)).map(
          ({ daemon, exitCode }) =>
            `${daemon} ended with exit code ${exitCode}: ./lab logs ${name} ${daemon}`,
        );
  return { machine: name, address, state: problems.length > 0 ? "broken" : "running", problems };
}

async function clusterProblems(lab: Instance): Promise<string[]> {
  const kubectl = [
    "--kubeconfig",
    adminKubeconfig(lab),
    "get",
    "nodes",
    "-o",
    "json",
    "--request-timeout=5s",
  ];
  const result = await execa("kubectl", kubectl, { env: labEnvironment(lab), reject: false });
  if (result.failed) return [`the API server does not answer: ${result.stderr.split("\n").at(-1)}`];
  interface Node {
    metadata: { name: string };
    status: { conditions: { type: string; status: string; message: string }[] };
  }
  const nodes = (JSON.parse(result.stdout) as { items: Node[] }).items;
  return nodes.flatMap((node) => {
    const ready = node.status.conditions.find(({ type }) => type === "Ready");
    return ready?.status === "True"
      ? []
      : [`node ${node.metadata.name} is not Ready: ${ready?.message ?? "no report"}`];
  });
}

/** Compares the hash in the file's first line with the rest of the file and with what was pushed. */
async function drift(lab: Instance, pushed: string): Promise<string> {
  const ssh = [
    "-i",
    sshKeyFile(lab),
    "-o",
    `UserKnownHostsFile=${knownHostsFile(lab)}`,
    "-o",
    "ConnectTimeout=5",
  ];
  const command = "head -n 1 /etc/haproxy/haproxy.cfg; tail -n +2 /etc/haproxy/haproxy.cfg | sha256sum";
  const args = [...ssh, "-o", "BatchMode=yes", `${SSH_USER}@${lab.loadBalancer.address}`, command];
  const result = await execa("ssh", args, { reject: false });
  if (result.failed) return `unknown: ${result.stderr.trim()}`;
  const [first = "", rest = ""] = result.stdout.split("\n");
  if (!first.includes(pushed)) return "not what was pushed last: ./lab up puts it right";
  return rest.startsWith(pushed)
    ? "as pushed"
    : "edited by hand since it was pushed: ./lab up keeps the edit beside it and puts it right";
}

async function standIns(lab: Instance): Promise<string[]> {
  const plugins = (await findInstalled(lab)).filter(({ official }) => !official);
  return [
    "nginx: Debian's build under the article's tags; the page tells the version",
    `Envoy: the plain build ${ENVOY_VERSION}, without Istio's own filters (no istio_requests_total)`,
    ...plugins.map(
      ({ name }) => `Pulumi plugin ${name}: this project's, where the official one cannot be downloaded`,
    ),
  ];
}

function render(status: Status): string {
  const mark = (ok: boolean) => (ok ? styleText("green", "✔") : styleText("red", "✖"));
  const lines = status.machines.flatMap(({ machine, address, state, problems }) => [
    `${mark(state === "running")} ${machine.padEnd(16)} ${address.padEnd(15)} ${state}`,
    ...problems.map((problem) => `    ${problem}`),
  ]);
  lines.push(
    ...(status.cluster.length === 0
      ? [`${mark(true)} cluster          all nodes Ready`]
      : status.cluster.map((problem) => `${mark(false)} cluster          ${problem}`)),
    status.stack
      ? `${mark(true)} stack            ${status.stack.url}  ${Object.entries(status.stack.weights)
          .map(([v, w]) => `${v} ${w} %`)
          .join(", ")}`
      : `${mark(false)} stack            not up: ./lab up`,
    `${mark(status.haproxyConfig === "as pushed")} haproxy.cfg      ${status.haproxyConfig}`,
    "",
    "Stand-ins, for what this kind of machine cannot download:",
    ...status.standIns.map((line) => `  - ${line}`),
  );
  return lines.join("\n");
}

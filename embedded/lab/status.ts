/** Reads the state of a lab: machines, cluster, stack, haproxy.cfg, alerts, parts. */
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import type { KubernetesApi } from "../../clients/kubernetes.ts";
import type { KubernetesNode } from "../../components/cluster/nodes.ts";
import type { Outputs } from "../../outputs.ts";
import type { Instance, MachineSpec } from "../host/instance.ts";
import { deadDaemons } from "../machines/daemons.ts";
import { deadUnits } from "../machines/loadBalancer.ts";
import { runningPid } from "../machines/machine.ts";
import { BUILT_IMAGES } from "../toolchain/images/names.ts";
import type { Part } from "../toolchain/parts.ts";
import { ENVOY_VERSION, IMAGE_HUB, PROMETHEUS_VERSION } from "../toolchain/versions/versions.ts";
import { alertsOf } from "./alerts.ts";
import { haproxyDrift } from "./haproxyDrift.ts";
import { type Made, readMade } from "./made.ts";
import { nodeProblems } from "./nodeStatus.ts";
import { findInstalled } from "./plugins.ts";
import { connectToCluster, stackFile, stackOutputs } from "./stack.ts";

/** Longest time for one answer of the API server. */
const ANSWER_MS = 5000;

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
  /**
   * Faults of the cluster: its API server, nodes that are not Ready, nodes added or removed since the last
   * update.
   */
  readonly cluster: readonly string[];
  /** URL and weights, when the stack is up. */
  readonly stack: { url: string; weights: Record<string, number> } | null;
  /** Whether haproxy.cfg on the load balancer is what was pushed last. */
  readonly haproxyConfig: string;
  /** Alerts of the lab's Prometheus. They do not change `ok`. */
  readonly alerts: readonly string[];
  /** Each part: official, or built on this host, with the reason. */
  readonly parts: readonly Part[];
  readonly standIns: readonly string[];
  readonly ok: boolean;
}

export async function readStatus(lab: Instance): Promise<Status> {
  const machines = await Promise.all(lab.machines.map((machine) => machineStatus(lab, machine)));
  const on = (machine: MachineSpec) => machines.some((m) => m.machine === machine.name && m.state !== "off");
  const outputs = on(lab.controlPlane) ? await stackOutputs(lab).catch(() => undefined) : undefined;
  const { cluster, alerts } = on(lab.controlPlane)
    ? await clusterStatus(lab, outputs)
    : { cluster: ["the control plane is off"], alerts: [] };
  const haproxyConfig =
    outputs && on(lab.loadBalancer) ? await haproxyDrift(lab, outputs) : "unknown: not up";
  const made = await readMade(lab);
  return {
    name: lab.name,
    machines,
    cluster,
    stack: outputs ? { url: outputs.url, weights: outputs.weights } : null,
    haproxyConfig,
    alerts,
    parts: made?.parts ?? [],
    standIns: await standIns(lab, made),
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

async function clusterStatus(
  lab: Instance,
  outputs: Outputs | undefined,
): Promise<Pick<Status, "cluster" | "alerts">> {
  let api: KubernetesApi | undefined;
  try {
    api = await connectToCluster(lab, { answerMs: ANSWER_MS });
    const { items } = await api.list<KubernetesNode>("/api/v1/nodes");
    const balanced = (await hasNodesByHand(lab)) ? undefined : outputs?.nodes?.map(({ name }) => name);
    const cluster = nodeProblems(items, balanced);
    return { cluster, alerts: outputs && cluster.length === 0 ? await alertsOf(api, outputs) : [] };
  } catch (error) {
    return { cluster: [`the API server does not answer: ${(error as Error).message}`], alerts: [] };
  } finally {
    await api?.close();
  }
}

async function hasNodesByHand(lab: Instance): Promise<boolean> {
  const { config = {} } = (parse(await readFile(stackFile(lab), "utf8").catch(() => "")) ?? {}) as {
    config?: Record<string, unknown>;
  };
  return config["istio-lab:nodes"] !== undefined;
}

async function standIns(lab: Instance, made: Made | undefined): Promise<string[]> {
  const plugins = (await findInstalled(lab)).filter(({ official }) => !official);
  const built = (image: string | undefined) => image?.startsWith(`docker.io/${IMAGE_HUB}/`);
  const { nginx, istio, prometheus, zipkin } = made?.images ?? BUILT_IMAGES;
  return [
    ...(built(nginx.v116)
      ? ["nginx: Debian's build under the article's tags; the page names the version"]
      : []),
    ...(istio.plain
      ? [
          `Envoy: the plain build ${ENVOY_VERSION}, without Istio's own filters`,
          "Istio's telemetry filter: Envoy's stats access logger counts for istio_requests_total and " +
            "its like",
        ]
      : []),
    ...(made && built(prometheus)
      ? [`Prometheus: Debian's ${PROMETHEUS_VERSION}, with its classic pages`]
      : []),
    ...(made && built(zipkin) ? ["Zipkin: its own server, on Debian's Java"] : []),
    ...plugins.map(
      ({ name }) => `Pulumi plugin ${name}: this project's, where the official one cannot be downloaded`,
    ),
  ];
}

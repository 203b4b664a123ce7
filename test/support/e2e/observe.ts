/** Reads a lab for the end-to-end tests: pods, versions, Istio and its gateway, the stack's state. */
import type { KubernetesObject, TestLab } from "./harness.ts";

/** A resource in the stack's state, by the end of its URN. */
export async function stateOfStack(lab: TestLab): Promise<(urn: string) => KubernetesObject | undefined> {
  const { deployment } = JSON.parse(await lab.run("pulumi", "stack", "export")) as {
    deployment: { resources: { urn: string; outputs?: KubernetesObject }[] };
  };
  return (end) => deployment.resources.find(({ urn }) => urn.endsWith(end))?.outputs;
}

/** The newest update's number of resources, by operation. */
export async function changesOf(lab: TestLab): Promise<Record<string, number>> {
  const { same: _, ...changed } = await lab.lastChanges();
  return changed;
}

/** The subsets of the application's DestinationRule. */
export async function subsetsOf(lab: TestLab): Promise<string[]> {
  const { spec } = await lab.get<KubernetesObject & { spec: { subsets: { name: string }[] } }>(
    "destinationrule",
    "nginx",
  );
  return spec.subsets.map(({ name }) => name).sort();
}

/** The server lines of haproxy.cfg, without those that the backend of the last resort repeats. */
export async function serversOfHaproxy(lab: TestLab): Promise<string[]> {
  const config = await lab.run("ssh", "cat /etc/haproxy/haproxy.cfg");
  return [...new Set(config.match(/^ {4}server .*$/gm))];
}

/** Images of the sidecars and of the gateway, in pods that are not being deleted. */
export async function proxyImages(lab: TestLab): Promise<string[]> {
  interface Pod extends KubernetesObject {
    readonly metadata: KubernetesObject["metadata"] & { deletionTimestamp?: string };
    readonly spec: { initContainers?: Container[]; containers: Container[] };
  }
  interface Container {
    readonly name: string;
    readonly image: string;
  }
  const all = await lab.list<Pod>("pods", "--all-namespaces");
  return all
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .flatMap(({ spec }) => [...(spec.initContainers ?? []), ...spec.containers])
    .filter(({ name }) => name === "istio-proxy")
    .map(({ image }) => image);
}

/**
 * Istio's Deployments with their generations, its namespace, and the claim. Any change of Istio changes them.
 */
export async function istioOf(lab: TestLab) {
  const deployments = await lab.list("deployments", "--namespace=istio-system");
  const { metadata } = await lab.get("namespace", "istio-system");
  return {
    deployments: deployments.map(({ metadata: { name, uid, generation } }) => ({ name, uid, generation })),
    namespace: metadata.uid,
    owner: metadata.annotations?.["istio-lab/owner"],
  };
}

/** Names of the application's pods that are not being deleted, by version. */
export async function podsOf(lab: TestLab): Promise<Record<"1.16" | "1.17", string[]>> {
  const list = await lab.list<KubernetesObject & { metadata: { deletionTimestamp?: string } }>(
    "pods",
    "--selector=app=nginx",
  );
  const running = list.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const named = (version: string) =>
    running
      .filter(({ metadata }) => metadata.labels?.version === version)
      .map(({ metadata }) => metadata.name);
  return { "1.16": named("1.16").sort(), "1.17": named("1.17").sort() };
}

/** The image of a Deployment's first container. */
export async function imageOf(lab: TestLab, deployment: string): Promise<string> {
  interface Deployment extends KubernetesObject {
    readonly spec: { template: { spec: { containers: { image: string }[] } } };
  }
  return (await lab.get<Deployment>("deployment", deployment)).spec.template.spec.containers[0]?.image ?? "";
}

/** The ingress gateway's Service. */
export interface GatewayService extends KubernetesObject {
  readonly spec: { ports: { name: string; nodePort?: number }[] } & Record<string, unknown>;
}

export const nodePortOf = (service: GatewayService) =>
  service.spec.ports.find(({ name }) => name === "http2")?.nodePort;

/**
 * The Service as an installer would create it, without the addresses and NodePorts that the cluster assigns.
 */
export function recreated({ metadata, spec }: GatewayService) {
  const { clusterIP: _, clusterIPs: __, ports, ...rest } = spec;
  const { name, namespace, labels } = metadata;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace, labels },
    spec: { ...rest, ports: ports.map(({ nodePort: ___, ...port }) => port) },
  };
}

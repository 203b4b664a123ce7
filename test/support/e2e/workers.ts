/** Workers and gateway pods of a lab, for the end-to-end tests. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { WorkerSpec } from "../../../embedded/host/instance.ts";
import type { KubernetesObject, TestLab } from "./harness.ts";

/** A worker that only forwards requests to its NodePort, without a pod of the gateway or the application. */
export async function workerWithoutPods(lab: TestLab): Promise<WorkerSpec> {
  const gateways = await podNodes(lab, "--namespace=istio-system", "--selector=app=istio-ingressgateway");
  const worker = lab.instance.workers.find(({ name }) => !gateways.includes(name));
  if (!worker) throw new Error(`every worker has a gateway: ${gateways.join(", ")}`);
  await lab.kubectl("cordon", worker.name);
  await lab.kubectl(
    "delete",
    "pods",
    "--selector=app=nginx",
    `--field-selector=spec.nodeName=${worker.name}`,
  );
  for (const version of ["v116", "v117"])
    await lab.kubectl("rollout", "status", `deployment/nginx-${version}`);
  expect(await podNodes(lab, "--selector=app=nginx")).not.toContain(worker.name);
  await lab.kubectl("uncordon", worker.name);
  return worker;
}

/** Pid of pilot-agent in the gateway's pod, which answers health checks. */
export async function gatewayAgent(lab: TestLab): Promise<number> {
  const [pod] = await lab.list("pods", "--namespace=istio-system", "--selector=app=istio-ingressgateway");
  for (const pid of await readdir("/proc")) {
    const [name, environment] = await Promise.all(
      ["comm", "environ"].map((file) => readFile(join("/proc", pid, file), "utf8").catch(() => "")),
    );
    if (name === "pilot-agent\n" && environment?.includes(`\0POD_NAME=${pod?.metadata.name}\0`))
      return Number(pid);
  }
  throw new Error("the gateway has no pilot-agent");
}

async function podNodes(lab: TestLab, ...what: string[]): Promise<string[]> {
  type Pod = KubernetesObject & { readonly spec: { readonly nodeName?: string } };
  return (await lab.list<Pod>("pods", ...what)).flatMap(({ spec }) => spec.nodeName ?? []);
}

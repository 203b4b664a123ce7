/** The alerts that fire in a lab, for `./lab status`. */
import { execa } from "execa";
import { firingAlerts } from "../../dashboard/prometheus.ts";
import { proxyPath } from "../../dashboard/source.ts";
import type { Outputs } from "../../outputs.ts";
import type { Instance } from "../host/instance.ts";
import { adminKubeconfig } from "../machines/controlPlane.ts";
import { labEnvironment } from "./stack.ts";

/** Seconds for one answer of the API server. */
const LIMIT = 5;

/** Nothing in a lab without a Prometheus of its own. A Prometheus that does not answer counts as an alert. */
export async function alertsOf(
  lab: Instance,
  { monitoring }: Pick<Outputs, "monitoring">,
): Promise<string[]> {
  if (!monitoring || "url" in monitoring) return [];
  const get = async (path: string): Promise<unknown> => {
    const raw = ["get", "--raw", `${proxyPath(monitoring)}${path}`, `--request-timeout=${LIMIT}s`];
    const kubectl = ["--kubeconfig", adminKubeconfig(lab), ...raw];
    const { failed, stdout, stderr } = await execa("kubectl", kubectl, {
      env: labEnvironment(lab),
      reject: false,
    });
    if (failed) throw new Error(stderr.trim().split("\n").at(-1));
    return JSON.parse(stdout);
  };
  try {
    const alerts = await firingAlerts(get, AbortSignal.timeout(1000 * LIMIT));
    return alerts.map(({ labels, summary }) => `${labels.alertname}: ${summary}`);
  } catch (error) {
    return [`Prometheus does not answer: ${(error as Error).message}`];
  }
}

/** The alerts that fire in a lab, for `./lab status`. */
import type { KubernetesApi } from "../../clients/kubernetes.ts";
import { firingAlerts } from "../../dashboard/prometheus.ts";
import { prometheusTrouble } from "../../dashboard/prometheusPod.ts";
import { proxyPath } from "../../dashboard/source.ts";
import type { Outputs } from "../../outputs.ts";

/** Nothing in a lab without a Prometheus of its own. A Prometheus that does not answer counts as an alert. */
export async function alertsOf(
  api: KubernetesApi,
  { monitoring }: Pick<Outputs, "monitoring">,
): Promise<string[]> {
  if (!monitoring || "url" in monitoring) return [];
  const get = (path: string) => api.get<unknown>(`${proxyPath(monitoring)}${path}`);
  try {
    const alerts = await firingAlerts(get, new AbortController().signal);
    return alerts.map(({ labels, summary }) => `${labels.alertname}: ${summary}`);
  } catch (error) {
    const why = await prometheusTrouble(api, monitoring.namespace).catch(() => undefined);
    return [`Prometheus does not answer: ${why ?? (error as Error).message}`];
  }
}

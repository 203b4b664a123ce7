/** The alerts that fire in a lab, for `./lab status`. */
import type { KubernetesApi } from "../../clients/kubernetes.ts";
import { PROMETHEUS_APP } from "../../components/monitoring/prometheus.ts";
import { podTrouble } from "../../dashboard/podTrouble.ts";
import { firingAlerts } from "../../dashboard/prometheus.ts";
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
    const { namespace } = monitoring;
    const why = await podTrouble(api, { namespace, app: PROMETHEUS_APP }).catch(() => undefined);
    return [`Prometheus does not answer: ${why ?? (error as Error).message}`];
  }
}

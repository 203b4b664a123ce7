/** The labels of a namespace, as selectors of policies and of the mesh see them. */
import type { KubernetesApi } from "./kubernetes.ts";

/** Kubernetes makes the name a label. Where the namespace cannot be read, that label is the only one. */
export async function namespaceLabels(
  api: Pick<KubernetesApi, "metadata">,
  name: string,
): Promise<Record<string, string>> {
  const found = await api.metadata(`/api/v1/namespaces/${name}`).catch(() => undefined);
  return { "kubernetes.io/metadata.name": name, ...found?.metadata.labels };
}

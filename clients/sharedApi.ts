/** One client of a cluster for all parts of a program that read it during an update: kubectl starts once. */
import { KubernetesApi, type Selection } from "./kubernetes.ts";

/** Selection, as text, to its client. */
const clients = new Map<string, Promise<KubernetesApi>>();

/**
 * The client, which ends with this process and does not keep it alive.
 * @throws KubectlError when kubectl is missing or cannot use the kubeconfig; the next call tries again
 */
export async function sharedApi({ kubeconfig, context, cluster }: Selection): Promise<KubernetesApi> {
  const key = JSON.stringify([kubeconfig, context, cluster]);
  const client = clients.get(key) ?? KubernetesApi.connect({ kubeconfig, context, cluster });
  clients.set(key, client);
  try {
    return await client;
  } catch (error) {
    clients.delete(key);
    throw error;
  }
}

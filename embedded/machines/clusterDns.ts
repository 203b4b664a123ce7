/** Applies the cluster's DNS. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes.ts";
import { CLUSTER_DNS_IP } from "../host/instance.ts";

type Manifest = KubernetesObject & { readonly kind: string };

/** Kind of an object in coredns.yaml to its collection. */
const COLLECTIONS: Readonly<Record<string, string>> = {
  ServiceAccount: "/api/v1/namespaces/kube-system/serviceaccounts",
  ConfigMap: "/api/v1/namespaces/kube-system/configmaps",
  Service: "/api/v1/namespaces/kube-system/services",
  Deployment: "/apis/apps/v1/namespaces/kube-system/deployments",
  ClusterRole: "/apis/rbac.authorization.k8s.io/v1/clusterroles",
  ClusterRoleBinding: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
};

/** Applies CoreDNS, with that image, to the cluster. The API server must be ready. */
export async function applyClusterDns(api: KubernetesApi, image: string): Promise<void> {
  const template = await readFile(join(import.meta.dirname, "coredns.yaml"), "utf8");
  const text = template.replaceAll("@IMAGE@", image).replaceAll("@CLUSTER_IP@", CLUSTER_DNS_IP);
  for (const document of parseAllDocuments(text)) {
    const manifest = document.toJS() as Manifest;
    const path = `${COLLECTIONS[manifest.kind]}/${manifest.metadata.name}`;
    // The fields that another manager set, such as a kubectl, become this one's.
    await api.apply(path, manifest, { fieldManager: "istio-lab", force: true });
  }
}

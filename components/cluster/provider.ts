/** The provider that every Kubernetes object of the stack goes through. */
import * as k8s from "@pulumi/kubernetes";
import type { ClusterConfig } from "./config.ts";

/** @param id UID of namespace kube-system: the cluster's identity, whatever its kubeconfig calls it. */
export function clusterProvider(
  name: string,
  { kubeconfig, context }: ClusterConfig,
  id: string,
): k8s.Provider {
  return new k8s.Provider(name, {
    // Given even where it is empty: the SDK would fill in KUBECONFIG, of which the provider reads one path.
    kubeconfig,
    ...(context ? { context } : {}),
    clusterIdentifier: id,
    enableConfigMapMutable: true,
    // A renewed certificate is an update; as a new Secret it would leave the gateway without one meanwhile.
    enableSecretMutable: true,
    // A killed update leaves objects that no state knows. The preflight has checked their owner.
    upsertExistingObjects: true,
    // Fields that kubectl has changed are set back; otherwise each is a conflict that stops the update.
    enablePatchForce: true,
  });
}

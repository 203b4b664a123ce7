/** The provider that every Kubernetes object of the stack goes through. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterConfig } from "./config.ts";
import type { ClusterFacts } from "./preflight.ts";

export function clusterProvider(
  name: string,
  { context }: Pick<ClusterConfig, "context">,
  { id, kubeconfig }: Pick<ClusterFacts, "id" | "kubeconfig">,
): k8s.Provider {
  return new k8s.Provider(name, {
    // Given even where it is empty: the SDK would fill in KUBECONFIG, of which the provider reads one path.
    // A content may hold keys.
    kubeconfig: kubeconfig.startsWith("{") ? pulumi.secret(kubeconfig) : kubeconfig,
    ...(context ? { context } : {}),
    clusterIdentifier: id,
    // PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY=false in a shell would end all that is said below.
    enableServerSideApply: true,
    enableConfigMapMutable: true,
    // A renewed certificate is an update; as a new Secret it would leave the gateway without one meanwhile.
    enableSecretMutable: true,
    // A killed update leaves objects that no state knows. The preflight has checked their owner.
    upsertExistingObjects: true,
    // Fields that kubectl has changed are set back; otherwise each is a conflict that stops the update.
    enablePatchForce: true,
  });
}

/**
 * Keeps a destroy, which does not run the program, from another cluster than the one that the stack was made
 * on.
 */
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

export interface ClusterGuardArgs {
  /** UID of namespace kube-system. */
  id: string;
  /** The application's namespace. A destroy reports that it is gone. */
  namespace: string;
  /** A namespace that a destroy deletes. @default none */
  ownNamespace?: string | undefined;
  /** Path of the kubeconfig. @default KUBECONFIG or ~/.kube/config */
  kubeconfig?: string | undefined;
  /** Context in it. @default the current one */
  context?: string | undefined;
}

/**
 * A command whose deletion fails when kubeconfig and context lead to another cluster. It depends on
 * everything in the cluster, so that a destroy deletes it first and deletes nothing else when it fails.
 */
export class ClusterGuard extends pulumi.ComponentResource {
  constructor(name: string, args: ClusterGuardArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:ClusterGuard", name, {}, opts);
    new local.Command(
      name,
      {
        create: "true",
        delete: "exec sh components/cluster/sameCluster.sh",
        environment: {
          ISTIO_LAB_CLUSTER: args.id,
          ISTIO_LAB_NAMESPACE: args.namespace,
          ...(args.ownNamespace ? { ISTIO_LAB_OWN_NAMESPACE: args.ownNamespace } : {}),
          ...(args.context ? { ISTIO_LAB_CONTEXT: args.context } : {}),
          ...(args.kubeconfig ? { KUBECONFIG: args.kubeconfig } : {}),
        },
        addPreviousOutputInEnv: false,
      },
      { parent: this },
    );
    this.registerOutputs();
  }
}

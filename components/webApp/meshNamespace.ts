/** Turns on sidecar injection for a namespace. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { injectionLabel } from "../../mesh/selector.ts";

export interface MeshNamespaceArgs {
  /** A namespace that exists. */
  namespace: string;
  /** Revision or tag of the Istio that injects. @default the default one */
  revision?: string | undefined;
}

/**
 * Patches one label of a namespace that exists. Its other labels and the namespace itself stay as they are,
 * also when the component is deleted.
 */
export class MeshNamespace extends pulumi.ComponentResource {
  /** The namespace, known once it injects. */
  public readonly namespace: pulumi.Output<string>;

  constructor(name: string, args: MeshNamespaceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:MeshNamespace", name, {}, opts);
    const patch = new k8s.core.v1.NamespacePatch(
      name,
      { metadata: { name: args.namespace, labels: injectionLabel(args.revision) } },
      { parent: this },
    );
    this.namespace = patch.metadata.name;
    this.registerOutputs({ namespace: this.namespace });
  }
}

/** Runs nginx in several versions behind one Service. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { DELETION_LIMIT, POD_DELETION_LIMIT } from "../../mesh/ownedObject.ts";
import type { Version } from "./config.ts";
import { deploymentManifest, pagesManifest, serviceManifest } from "./manifests.ts";

export interface WebAppArgs {
  /** Namespace with sidecar injection. */
  namespace: string;
  /** The versions that run at the same time; each has a Deployment of its own. */
  versions: readonly Version[];
  /**
   * Hash of what shapes the sidecar; another text rolls all pods. @default pods keep the sidecar they have
   */
  sidecar?: string | undefined;
  /** Further labels of each object and pod. @default none */
  labels?: Readonly<Record<string, string>> | undefined;
  /** The stack that owns the objects. */
  owner: string;
  /**
   * True: a deletion waits until the pods are gone. False: only for the Deployments, because what is deleted
   * later waits for the pods. @default true
   */
  awaitPods?: boolean | undefined;
}

/** nginx in several versions behind one Service; each answers `/echo/test.txt` with a page of its own. */
export class WebApp extends pulumi.ComponentResource {
  /** Name of the Service in front of all versions. */
  public readonly service: pulumi.Output<string>;
  /** Depend on these for pods that answer. */
  public readonly deployments: readonly k8s.apps.v1.Deployment[];

  constructor(name: string, args: WebAppArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:WebApp", name, {}, opts);
    const pages = new k8s.core.v1.ConfigMap(`${name}-pages`, pagesManifest(args), {
      parent: this,
      customTimeouts: DELETION_LIMIT,
    });
    this.deployments = args.versions.map(
      (version) =>
        new k8s.apps.v1.Deployment(
          `${name}-${version.name}`,
          deploymentManifest(version, args),
          // The pods name the ConfigMap in plain text, so that only a new page rolls them; hence the explicit
          // order.
          { parent: this, dependsOn: pages, customTimeouts: POD_DELETION_LIMIT },
        ),
    );
    const service = new k8s.core.v1.Service(name, serviceManifest(args), {
      parent: this,
      customTimeouts: DELETION_LIMIT,
    });
    this.service = service.metadata.name;
    this.registerOutputs({ service: this.service, deployments: this.deployments });
  }
}

/** Runs nginx in several versions behind one Service. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { DELETED_IN_BACKGROUND, DELETION_LIMIT, metadataOf, NOT_AWAITED } from "../../mesh/ownedObject.ts";
import type { Version } from "./config.ts";
import { deploymentObject, pagesObject, serviceObject } from "./objects.ts";
import { podLabels, podTemplate } from "./pod.ts";

export interface WebAppArgs {
  /** Namespace with sidecar injection. */
  namespace: string;
  /** The versions that run at the same time; each has a Deployment of its own. */
  versions: readonly Version[];
  /**
   * Hash of what shapes the sidecar; another text rolls all pods. @default pods keep the sidecar they have
   */
  sidecar?: string | undefined;
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
    const pages = new k8s.core.v1.ConfigMap(
      `${name}-pages`,
      { metadata: metadataOf(pagesObject(args.namespace), args.owner), data: pagesOf(args.versions) },
      { parent: this, customTimeouts: DELETION_LIMIT },
    );
    this.deployments = args.versions.map(
      (version) =>
        new k8s.apps.v1.Deployment(
          `${name}-${version.name}`,
          deploymentOf(version, args),
          // The pods name the ConfigMap in plain text, so that only a new page rolls them; hence the explicit
          // order.
          { parent: this, dependsOn: pages },
        ),
    );
    const service = new k8s.core.v1.Service(name, serviceOf(args), {
      parent: this,
      customTimeouts: DELETION_LIMIT,
    });
    this.service = service.metadata.name;
    this.registerOutputs({ service: this.service, deployments: this.deployments });
  }
}

/** Version name to page. */
export function pagesOf(versions: readonly Version[]): Record<string, string> {
  return Object.fromEntries(versions.map(({ name, page }) => [name, page]));
}

/** maxUnavailable 0: an old pod goes when its successor answers. */
function deploymentOf(version: Version, args: WebAppArgs): k8s.apps.v1.DeploymentArgs {
  const labels = podLabels(version.version);
  const deletion = (args.awaitPods ?? true) ? {} : DELETED_IN_BACKGROUND;
  return {
    metadata: { ...metadataOf(deploymentObject(args.namespace, version.name), args.owner, deletion), labels },
    spec: {
      replicas: version.replicas,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: podTemplate(version, args),
    },
  };
}

function serviceOf({ namespace, owner }: WebAppArgs): k8s.core.v1.ServiceArgs {
  return {
    metadata: {
      ...metadataOf(serviceObject(namespace), owner, NOT_AWAITED),
      labels: { service: "nginx" },
    },
    spec: {
      selector: { app: "nginx" },
      ports: [
        { name: "http", protocol: "TCP", port: 80 },
        { name: "https", protocol: "TCP", port: 443 },
      ],
    },
  };
}

/** The objects of the web application as the API server gets them. Pure. */
import { DELETED_IN_BACKGROUND, metadataOf, NOT_AWAITED } from "../../mesh/ownedObject.ts";
import type { Version } from "./config.ts";
import { deploymentObject, pagesObject, serviceObject } from "./objects.ts";
import { podLabels, podTemplate } from "./pod.ts";

export interface ManifestArgs {
  /** Namespace of the application. */
  readonly namespace: string;
  readonly versions: readonly Version[];
  /** As in {@link podTemplate}. */
  readonly sidecar?: string | undefined;
  /** Further labels of each object and pod. @default none */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The stack that owns the objects. */
  readonly owner: string;
  /** False: a deletion of the Deployments does not wait until the pods are gone. @default true */
  readonly awaitPods?: boolean | undefined;
}

/** Version name to page. */
export function pagesOf(versions: readonly Version[]): Record<string, string> {
  return Object.fromEntries(versions.map(({ name, page }) => [name, page]));
}

/** The pages of all versions. */
export function pagesManifest(args: ManifestArgs) {
  return { metadata: metadataOf(pagesObject(args.namespace), args), data: pagesOf(args.versions) };
}

/** maxUnavailable 0: an old pod goes when its successor answers. */
export function deploymentManifest(version: Version, args: ManifestArgs) {
  const labels = podLabels(version.version);
  const deletion = (args.awaitPods ?? true) ? {} : DELETED_IN_BACKGROUND;
  const marks = { owner: args.owner, labels: { ...args.labels, ...labels } };
  return {
    metadata: metadataOf(deploymentObject(args.namespace, version.name), marks, deletion),
    spec: {
      replicas: version.replicas,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: podTemplate(version, args),
    },
  };
}

/** The Service in front of all versions. */
export function serviceManifest({ namespace, labels, owner }: ManifestArgs) {
  return {
    metadata: metadataOf(
      serviceObject(namespace),
      { owner, labels: { ...labels, service: "nginx" } },
      NOT_AWAITED,
    ),
    spec: {
      selector: { app: "nginx" },
      ports: [
        { name: "http", protocol: "TCP", port: 80 },
        { name: "https", protocol: "TCP", port: 443 },
      ],
    },
  };
}

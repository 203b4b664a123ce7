/** The objects of the web application as the API server gets them. Pure. */
import { DELETED_IN_BACKGROUND, metadataOf, NOT_AWAITED, withLabels } from "../../mesh/ownedObject.ts";
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
export function pagesManifest({ namespace, versions, labels, owner }: ManifestArgs) {
  return { metadata: withLabels(metadataOf(pagesObject(namespace), owner), labels), data: pagesOf(versions) };
}

/** maxUnavailable 0: an old pod goes when its successor answers. */
export function deploymentManifest(version: Version, args: ManifestArgs) {
  const labels = podLabels(version.version);
  const deletion = (args.awaitPods ?? true) ? {} : DELETED_IN_BACKGROUND;
  const metadata = metadataOf(deploymentObject(args.namespace, version.name), args.owner, deletion);
  return {
    metadata: withLabels(metadata, { ...args.labels, ...labels }),
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
    metadata: withLabels(metadataOf(serviceObject(namespace), owner, NOT_AWAITED), {
      ...labels,
      service: "nginx",
    }),
    spec: {
      selector: { app: "nginx" },
      ports: [
        { name: "http", protocol: "TCP", port: 80 },
        { name: "https", protocol: "TCP", port: 443 },
      ],
    },
  };
}

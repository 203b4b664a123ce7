import { createHash } from "node:crypto";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ownedBy } from "../../mesh/owner.ts";
import { PROPAGATION_SECONDS } from "../trafficSplit/propagation.ts";

export interface WebAppArgs {
  /** Namespace with sidecar injection. */
  namespace: pulumi.Input<string>;
  /** What runs beside each other; each has a Deployment of its own. */
  versions: readonly WebAppVersion[];
  /** Another text rolls all pods, for another sidecar. @default pods keep the sidecar they have */
  sidecar?: string | undefined;
  /** The stack that the objects belong to. */
  owner: string;
}

export interface WebAppVersion {
  /** DNS label, e.g. `v116`: the Deployment is `nginx-v116`. */
  name: string;
  /** Value of the pods' label `version`, e.g. `1.16`. */
  version: string;
  /** Image with nginx. */
  image: string;
  /** Number of pods. */
  replicas: number;
  /** What `/echo/test.txt` answers. */
  page: string;
}

/** nginx in several versions behind one Service, each telling its version at `/echo/test.txt`. */
export class WebApp extends pulumi.ComponentResource {
  /** Name of the Service in front of all versions. */
  public readonly service: pulumi.Output<string>;
  /** Depend on these for pods that answer. */
  public readonly deployments: readonly pulumi.Resource[];

  constructor(name: string, args: WebAppArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:WebApp", name, {}, opts);
    const { namespace, versions, sidecar } = args;
    const annotations = ownedBy(args.owner);
    const pages = new k8s.core.v1.ConfigMap(
      `${name}-pages`,
      { metadata: { name: "nginx-static-files", namespace, annotations }, data: pagesOf(versions) },
      { parent: this },
    );
    this.deployments = versions.map(
      (version) =>
        new k8s.apps.v1.Deployment(
          `${name}-${version.name}`,
          deployment(version, { namespace, annotations, sidecar, configMap: pages.metadata.name }),
          // The page goes by name, so that nothing else about the ConfigMap can roll pods; hence the explicit order.
          { parent: this, dependsOn: pages },
        ),
    );
    const service = new k8s.core.v1.Service(name, serviceOf(namespace, annotations), { parent: this });
    this.service = service.metadata.name;
    this.registerOutputs({ service: this.service, deployments: this.deployments });
  }
}

/** Version name to page. */
export function pagesOf(versions: readonly WebAppVersion[]): Record<string, string> {
  return Object.fromEntries(versions.map(({ name, page }) => [name, page]));
}

/**
 * Asked each second whether it answers, no pod goes before its successor does, and one that goes serves on until every
 * proxy has heard of it: a rollout loses no request. The kubelet does the waiting, for the image may have no shell. The hash
 * of the page stands in the pod template, so that a new page rolls the pods of its version and no others; the one of the
 * sidecar's making does, so that all get a new sidecar when Istio's changes.
 */
function deployment(
  { name, version, image, replicas, page }: WebAppVersion,
  { namespace, annotations, sidecar, configMap }: Surroundings,
): k8s.apps.v1.DeploymentArgs {
  const labels = { app: "nginx", version };
  return {
    metadata: { name: `nginx-${name}`, namespace, labels, annotations },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: {
          labels,
          annotations: {
            "istio-lab/page": sha256(page).slice(0, 16),
            ...(sidecar === undefined ? {} : { "istio-lab/sidecar": sidecar }),
          },
        },
        spec: {
          containers: [
            {
              name: "nginx",
              image,
              ports: [{ name: "http", containerPort: 80 }],
              lifecycle: { preStop: { sleep: { seconds: PROPAGATION_SECONDS } } },
              readinessProbe: { httpGet: { path: "/echo/test.txt", port: 80 }, periodSeconds: 1 },
              volumeMounts: [{ name: "page", mountPath: "/usr/share/nginx/html/echo", readOnly: true }],
            },
          ],
          volumes: [
            { name: "page", configMap: { name: configMap, items: [{ key: name, path: "test.txt" }] } },
          ],
        },
      },
    },
  };
}

/** What a Deployment shares with the others. */
interface Surroundings {
  readonly namespace: pulumi.Input<string>;
  readonly annotations: Record<string, string>;
  readonly sidecar: string | undefined;
  /** Name of the ConfigMap with the pages. */
  readonly configMap: pulumi.Input<string>;
}

function serviceOf(
  namespace: pulumi.Input<string>,
  annotations: Record<string, string>,
): k8s.core.v1.ServiceArgs {
  return {
    metadata: {
      name: "nginx-svc",
      namespace,
      labels: { service: "nginx" },
      // The rollouts prove the pods; waiting for the endpoints as well takes 10 s.
      annotations: { ...annotations, "pulumi.com/skipAwait": "true" },
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

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** Spans of every request: Zipkin or a collector of the user's own, and the proxies that report to it. */
import { isIP } from "node:net";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { GatewayRef } from "../../mesh/model.ts";
import { OBSERVABILITY_NAMESPACE } from "../../mesh/observability.ts";
import {
  apiVersionOf,
  DELETED_IN_BACKGROUND,
  metadataOf,
  NOT_AWAITED,
  type OwnedObject,
} from "../../mesh/ownedObject.ts";
import { type Collector, collectorEntry, telemetrySpec } from "../../mesh/telemetry.ts";
import { endpointObject, telemetryObject, zipkinDeployment, zipkinService } from "./objects.ts";

/** TCP port of Zipkin: its API, its pages, and where spans arrive. */
const ZIPKIN_PORT = 9411;

/** Zipkin as this component deploys it. */
export const DEPLOYED_ZIPKIN: Collector = {
  protocol: "zipkin",
  host: `${zipkinService.name}.${OBSERVABILITY_NAMESPACE}.svc.cluster.local`,
  port: ZIPKIN_PORT,
};

/** Where a program that may use the API server's proxy finds Zipkin. */
export interface ZipkinRef {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
}

export interface TracingArgs {
  /** Image of Zipkin. Undefined: spans go to `collector`. */
  image?: string | undefined;
  /** Where spans go when no Zipkin is deployed. */
  collector?: Collector | undefined;
  /** Percent of the requests that arrive without a decision of their own. */
  sampling: number;
  /** Namespace of the application. */
  namespace: string;
  /** The ingress gateway. */
  gateway: GatewayRef;
  /** Further labels of each object and pod. @default none */
  labels?: Readonly<Record<string, string>> | undefined;
  /** The stack that owns the objects. */
  owner: string;
  /** Namespace of Zipkin, as a resource. Where it is deleted, nothing in it is deleted one by one. */
  home?: pulumi.Resource | undefined;
}

/** Tracing for the ingress gateway and the application's sidecars; other workloads are left alone. */
export class Tracing extends pulumi.ComponentResource {
  /** Where Zipkin answers; undefined when spans go elsewhere. */
  public readonly zipkin: pulumi.Output<ZipkinRef | undefined>;

  constructor(name: string, args: TracingArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:Tracing", name, {}, opts);
    const { image, collector, namespace, gateway, sampling } = args;
    const custom = (suffix: string, object: OwnedObject, spec: object, dependsOn: pulumi.Resource[]) =>
      new k8s.apiextensions.CustomResource(
        `${name}-${suffix}`,
        {
          apiVersion: apiVersionOf(object),
          kind: object.kind,
          metadata: metadataOf(object, args, DELETED_IN_BACKGROUND),
          spec,
        },
        { parent: this, dependsOn },
      );
    const zipkin =
      image === undefined ? undefined : deployZipkin(name, image, args, { parent: this, ...homeOf(args) });
    const target =
      zipkin ??
      (collector &&
        custom(
          "collector",
          endpointObject(gateway.namespace),
          collectorEntry(collector, isIP(collector.host) > 0),
          [],
        ));
    const needed = target ? [target] : [];
    custom("gateway", telemetryObject(gateway.namespace), telemetrySpec(gateway.selector, sampling), needed);
    if (namespace !== gateway.namespace)
      custom("app", telemetryObject(namespace), telemetrySpec({ app: "nginx" }, sampling), needed);
    this.zipkin = pulumi.output(
      zipkin && { namespace: OBSERVABILITY_NAMESPACE, service: zipkinService.name, port: ZIPKIN_PORT },
    );
    this.registerOutputs({ zipkin: this.zipkin });
  }
}

const LABELS = { app: "istio-lab-zipkin" };
/** The user of the official image. */
const USER = 1000;
/**
 * Java's first compiler alone, and its simplest collector: until Zipkin answers, it then takes 4.7 s of a
 * processor instead of 13.6 s (measured with Java 17).
 */
const JAVA_OPTS = "-Xms64m -Xmx256m -XX:+ExitOnOutOfMemoryError -XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

const homeOf = ({ home }: TracingArgs) => (home ? { deletedWith: home } : {});

function deployZipkin(
  name: string,
  image: string,
  args: TracingArgs,
  opts: pulumi.CustomResourceOptions,
): pulumi.Resource {
  const labels = { ...args.labels, ...LABELS };
  new k8s.core.v1.Service(
    `${name}-zipkin`,
    {
      metadata: metadataOf(zipkinService, args, NOT_AWAITED),
      spec: { selector: LABELS, ports: [{ name: "http", port: ZIPKIN_PORT, targetPort: "http" }] },
    },
    opts,
  );
  return new k8s.apps.v1.Deployment(
    `${name}-zipkin`,
    {
      metadata: metadataOf(zipkinDeployment, { owner: args.owner, labels }),
      spec: {
        replicas: 1,
        selector: { matchLabels: LABELS },
        // Spans are kept in memory: a second Zipkin would hold other spans.
        strategy: { type: "Recreate" },
        template: {
          metadata: { labels, annotations: { "sidecar.istio.io/inject": "false" } },
          spec: zipkinPod(image),
        },
      },
    },
    opts,
  );
}

function zipkinPod(image: string) {
  return {
    automountServiceAccountToken: false,
    // Spans are in memory and go with the pod: there is nothing to finish.
    terminationGracePeriodSeconds: 2,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [
      {
        name: "zipkin",
        image,
        env: [{ name: "JAVA_OPTS", value: JAVA_OPTS }],
        ports: [{ name: "http", containerPort: ZIPKIN_PORT }],
        startupProbe: { httpGet: { path: "/health", port: "http" }, periodSeconds: 2, failureThreshold: 90 },
        readinessProbe: { httpGet: { path: "/health", port: "http" }, periodSeconds: 5 },
        resources: { requests: { cpu: "50m", memory: "256Mi" }, limits: { memory: "512Mi" } },
        securityContext: {
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
      },
    ],
    volumes: [{ name: "tmp", emptyDir: {} }],
  };
}

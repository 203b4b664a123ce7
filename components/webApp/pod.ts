/**
 * The pods of one version of the application: pure, so that a check can try them before anything is touched.
 */
import { createHash } from "node:crypto";
import { PROPAGATION_SECONDS } from "../../mesh/propagation.ts";
import type { Version } from "./config.ts";
import { pagesObject } from "./objects.ts";

export interface PodArgs {
  /** Namespace of the application. */
  readonly namespace: string;
  /**
   * Hash of what shapes the sidecar; another text rolls all pods. @default pods keep the sidecar they have
   */
  readonly sidecar?: string | undefined;
  /** Further labels. @default none */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Labels of the pods of one version; a Deployment selects by them. */
export const podLabels = (version: string) => ({ app: "nginx", version });

/**
 * A rollout loses no request: the readiness probe runs each second, and preStop keeps an old pod serving
 * until every proxy has stopped sending to it. The kubelet does that waiting, for the image may have no
 * shell. Two hashes roll pods: a new page those of its version, a changed sidecar those of all versions.
 */
export function podTemplate(
  { name, version, image, page, resources, securityContext }: Version,
  { namespace, sidecar, labels }: PodArgs,
) {
  const restricted = securityContext === "restricted";
  const pages = { name: pagesObject(namespace).name, items: [{ key: name, path: "test.txt" }] };
  return {
    metadata: {
      labels: { ...labels, ...podLabels(version) },
      annotations: {
        "istio-lab/page": sha256(page).slice(0, 16),
        ...(sidecar === undefined ? {} : { "istio-lab/sidecar": sidecar }),
      },
    },
    spec: {
      ...(restricted ? { securityContext: UNPRIVILEGED_POD } : {}),
      containers: [
        {
          name: "nginx",
          image,
          ports: [{ name: "http", containerPort: 80 }],
          lifecycle: { preStop: { sleep: { seconds: PROPAGATION_SECONDS } } },
          readinessProbe: { httpGet: { path: "/echo/test.txt", port: 80 }, periodSeconds: 1 },
          ...(resources === undefined ? {} : { resources }),
          ...(restricted ? { securityContext: UNPRIVILEGED_CONTAINER } : {}),
          volumeMounts: [
            { name: "page", mountPath: "/usr/share/nginx/html/echo", readOnly: true },
            ...(restricted ? WRITABLE.map(({ name, mountPath }) => ({ name, mountPath })) : []),
          ],
        },
      ],
      volumes: [
        { name: "page", configMap: pages },
        ...(restricted ? WRITABLE.map(({ name }) => ({ name, emptyDir: {} })) : []),
      ],
    },
  };
}

/**
 * User `nginx` of the official image. The sysctl lets it listen on port 80; Pod Security counts it as safe.
 */
const UNPRIVILEGED_POD = {
  runAsNonRoot: true,
  runAsUser: 101,
  runAsGroup: 101,
  fsGroup: 101,
  seccompProfile: { type: "RuntimeDefault" },
  sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }],
};

const UNPRIVILEGED_CONTAINER = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };

/** Directories that nginx writes to, and that belong to root in its image. */
const WRITABLE = [
  { name: "run", mountPath: "/var/run" },
  { name: "cache", mountPath: "/var/cache/nginx" },
  { name: "lib", mountPath: "/var/lib/nginx" },
];

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** Names of the images that the toolchain builds. */
import {
  COREDNS_VERSION,
  IMAGE_HUB,
  ISTIO_VERSION,
  PROMETHEUS_VERSION,
  ZIPKIN_VERSION,
} from "../versions/versions.ts";

/** The images that a lab uses. */
export interface ImageNames {
  readonly pause: string;
  readonly coredns: string;
  /** The article's two versions. */
  readonly nginx: { readonly v116: string; readonly v117: string };
  /** Registry and tag of pilot and proxyv2. `plain`: the proxy has none of Istio's own filters. */
  readonly istio: { readonly hub: string; readonly tag: string; readonly plain: boolean };
  /** Only a lab with monitoring has it. */
  readonly prometheus?: string;
  /** Only a lab with tracing has it. */
  readonly zipkin?: string;
}

const built = (name: string) => `docker.io/${IMAGE_HUB}/${name}`;

export const BUILT_IMAGES = {
  pause: built("pause:1"),
  coredns: built(`coredns:${COREDNS_VERSION}`),
  // Debian's nginx under the article's tags: a stand-in, which `./lab status` lists.
  nginx: { v116: built("nginx:1.16.1"), v117: built("nginx:1.17.9") },
  istio: { hub: `docker.io/${IMAGE_HUB}`, tag: ISTIO_VERSION, plain: true },
  prometheus: built(`prometheus:${PROMETHEUS_VERSION}`),
  zipkin: built(`zipkin:${ZIPKIN_VERSION}`),
} as const satisfies ImageNames;

/** Versions of what the embedded lab is made of. Go modules and wheels are pinned in embedded/toolchain. */

export const KUBERNETES_VERSION = "v1.34.4";
export const ISTIO_VERSION = "1.31.0";
export const PULUMI_VERSION = "v3.230.0";
export const COREDNS_VERSION = "1.14.7";
export const ENVOY_VERSION = "1.39.3";
/** Debian's version: the Go module of 3.x comes without its pages built. */
export const PROMETHEUS_VERSION = "2.42.0";
export const ZIPKIN_VERSION = "3.5.1";

/** Registry name of the images that the toolchain builds. Nothing is pulled from it. */
export const IMAGE_HUB = "lab";

/** Which cluster it is. */
import type { Capability } from "../../preflight/capability.ts";
import { type ClusterConfig, clusterSettings } from "./config.ts";
import { clusterPreflight, type Needs } from "./preflight.ts";

export const cluster = {
  name: "cluster",
  settings: clusterSettings,
  ...clusterPreflight,
} satisfies Capability<ClusterConfig & Needs>;

/** Which cluster it is. */
import type { Capability } from "../../preflight/capability.ts";
import { type ClusterConfig, clusterSettings } from "./config.ts";

export const cluster = { name: "cluster", settings: clusterSettings } satisfies Capability<ClusterConfig>;

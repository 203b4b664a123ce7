/** The load balancer in front of the nodes. */
import type { Capability } from "../../preflight/capability.ts";
import { type HaproxyEdgeConfig, haproxyEdgeSettings } from "./config.ts";

export const haproxyEdge = {
  name: "haproxyEdge",
  settings: haproxyEdgeSettings,
} satisfies Capability<HaproxyEdgeConfig>;

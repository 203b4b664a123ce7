/** The split of requests between the versions. */
import type { Capability } from "../../preflight/capability.ts";
import { type TrafficSplitConfig, trafficSplitSettings } from "./config.ts";

export const trafficSplit = {
  name: "trafficSplit",
  settings: trafficSplitSettings,
} satisfies Capability<TrafficSplitConfig>;

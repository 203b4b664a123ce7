/** The split of requests between the versions. */
import type { Capability } from "../../preflight/capability.ts";
import { type TrafficSplitConfig, trafficSplitSettings } from "./config.ts";
import { type Needs, trafficSplitPreflight } from "./preflight.ts";

export const trafficSplit = {
  name: "trafficSplit",
  settings: trafficSplitSettings,
  ...trafficSplitPreflight,
} satisfies Capability<TrafficSplitConfig & Needs>;

/** Metrics and stats page of HAProxy. */
import type { Capability } from "../../preflight/capability.ts";
import { type StatsConfig, statsSettings } from "./config.ts";

export const stats = { name: "stats", settings: statsSettings } satisfies Capability<StatsConfig>;

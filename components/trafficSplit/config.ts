/** Settings of the traffic split: who is let in, and which version gets how much. */
import { z } from "zod";
import type { Weights } from "../../mesh/model.ts";
import { weightFaults } from "../../mesh/weights.ts";
import { type ConfigOf, key, slice } from "../../settings/slice.ts";
import { siteName, sitePattern } from "../../settings/values.ts";
import { webAppSettings } from "../webApp/config.ts";

export const trafficSplitSettings = slice({
  keys: {
    host: key(siteName().prefault("nginx.hung.org.hk"), "Host name that the application answers to"),
    gatewayHosts: key(
      z
        .array(sitePattern(), { error: 'give a list of host names, e.g. ["*.hung.org.hk"]' })
        .min(1, { error: "give at least one host name" })
        .prefault(["*.hung.org.hk"]),
      "Host names that the Gateway lets in; `*.` in front stands for any name below",
    ),
    // What each weight may be is checked together with the names: one rule, one wording.
    weights: key(
      z
        .record(z.string(), z.custom<number>(), { error: "give an object of version name to percent" })
        .default({ v116: 50, v117: 50 }),
      "Version name to integer percent: exactly the versions, 0 is legal, the sum is 100",
    ),
  },
  check({ host, gatewayHosts, weights }, { valuesOf, raw, fault }) {
    if (host && gatewayHosts && !gatewayHosts.some((pattern) => covers(pattern, host))) {
      fault("host", host, `the Gateway lets in ${gatewayHosts.join(", ")} only: add ${host} to gatewayHosts`);
    }
    const versions = valuesOf(webAppSettings).versions ?? raw.versions;
    const names = namesOf(versions);
    if (!weights || !names) return;
    for (const { version, right } of weightFaults(weights, names)) {
      if (version === undefined) fault("weights", weights, right);
      else fault(`weights.${version}`, Object.hasOwn(weights, version) ? weights[version] : undefined, right);
    }
  },
  resolve: ({ host, gatewayHosts, weights }) => ({ host, gatewayHosts, weights: weights as Weights }),
});

/** The capability's part of the configuration. */
export type TrafficSplitConfig = ConfigOf<typeof trafficSplitSettings>;

function covers(pattern: string, host: string): boolean {
  return pattern === "*" || pattern === host || (pattern.startsWith("*.") && host.endsWith(pattern.slice(1)));
}

/** Names to compare weights with, also where something else is wrong with the versions. */
function namesOf(versions: unknown): string[] | undefined {
  if (!Array.isArray(versions) || versions.length === 0) return undefined;
  const names = versions.map((version) => version?.name);
  return names.every((name) => typeof name === "string") ? [...new Set<string>(names)] : undefined;
}

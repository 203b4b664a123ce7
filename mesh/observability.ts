/** Constants that Prometheus, Zipkin and their readers share. */
import { ownedObject } from "./ownedObject.ts";

/** The namespace of Prometheus and Zipkin: the program creates and deletes it. */
export const OBSERVABILITY_NAMESPACE = "istio-lab-observability";

export const observabilityNamespace = ownedObject("Namespace", "", OBSERVABILITY_NAMESPACE);

/** Samples older than this many seconds are stale: three scrapes are missing. */
export const staleSeconds = (scrapeSeconds: number) => Math.max(10, 3 * scrapeSeconds);

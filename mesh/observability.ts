/** The namespace that Prometheus and Zipkin share: the program makes it and removes it. */
import { ownedObject } from "./ownedObject.ts";

export const OBSERVABILITY_NAMESPACE = "istio-lab-observability";

export const observabilityNamespace = ownedObject("Namespace", "", OBSERVABILITY_NAMESPACE);

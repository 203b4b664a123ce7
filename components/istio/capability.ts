/** Istio itself. */
import type { Capability } from "../../preflight/capability.ts";
import { type IstioConfig, istioSettings } from "./config.ts";

export const istio = { name: "istio", settings: istioSettings } satisfies Capability<IstioConfig>;

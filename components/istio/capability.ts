/** Istio itself. */
import type { Capability } from "../../preflight/capability.ts";
import { type IstioConfig, istioSettings } from "./config.ts";
import { istioPreflight, type Needs } from "./preflight.ts";

export const istio = {
  name: "istio",
  settings: istioSettings,
  ...istioPreflight,
} satisfies Capability<IstioConfig & Needs>;

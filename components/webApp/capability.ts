/** The web application in its versions. */
import type { Capability } from "../../preflight/capability.ts";
import { type WebAppConfig, webAppSettings } from "./config.ts";
import { type Needs, webAppPreflight } from "./preflight.ts";

export const webApp = {
  name: "webApp",
  settings: webAppSettings,
  ...webAppPreflight,
} satisfies Capability<WebAppConfig & Needs>;

/** The web application in its versions. */
import type { Capability } from "../../preflight/capability.ts";
import { type WebAppConfig, webAppSettings } from "./config.ts";

export const webApp = { name: "webApp", settings: webAppSettings } satisfies Capability<WebAppConfig>;

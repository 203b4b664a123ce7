/** Port 443. */
import type { Capability } from "../../preflight/capability.ts";
import { type TlsConfig, tlsSettings } from "./config.ts";

export const tls = { name: "tls", settings: tlsSettings } satisfies Capability<TlsConfig>;

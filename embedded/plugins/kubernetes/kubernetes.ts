/** A stand-in for pulumi-resource-kubernetes. */

import { serveProvider } from "../protocol.ts";
import { KubernetesProvider } from "./provider.ts";

/** The version of the official provider whose behaviour this one follows. */
const VERSION = "4.34.2";

await serveProvider(VERSION, (log) => new KubernetesProvider(log));

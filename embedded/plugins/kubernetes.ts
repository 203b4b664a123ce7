/** A stand-in for pulumi-resource-kubernetes. */
import { KubernetesProvider } from "./kubernetes/provider.ts";
import { serveProvider } from "./protocol.ts";

/** The version of the official provider whose behaviour this one follows. */
const VERSION = "4.34.2";

await serveProvider(VERSION, (log) => new KubernetesProvider(log));

/** A stand-in for pulumi-resource-kubernetes. */
import { serveProvider } from "../protocol.ts";
import { KubernetesProvider } from "./provider.ts";

/** The version of the official provider whose behaviour this one follows. */
const VERSION = "4.34.2";
/** As in the official provider, which checks every five minutes whether its engine runs. */
const ORPHANED_MS = 5 * 60_000;

await serveProvider(VERSION, (log) => new KubernetesProvider(log), ORPHANED_MS);

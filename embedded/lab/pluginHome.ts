/** Where a lab has its own Pulumi and plugins. Apart from plugins.ts, which not every command loads. */
import { join } from "node:path";
import type { Instance } from "../host/instance.ts";

/** PULUMI_HOME of an instance, where the engine finds the plugins that plugins.ts lays out. */
export function pulumiHome(lab: Instance): string {
  return join(lab.dir, "pulumi-home");
}

/**
 * Directory for PATH: the engine, and beside it the language plugin, which it does not look for in its cache.
 */
export function pluginPath(lab: Instance): string {
  return join(pulumiHome(lab), "bin");
}

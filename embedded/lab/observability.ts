/** Whether a lab has Prometheus and Zipkin. A new lab's flags decide it; later the stack's settings do. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import type { Instance } from "../host/instance.ts";
import type { Wanted } from "../toolchain/toolchain.ts";
import { stackFile } from "./stack.ts";

interface StackFile {
  readonly config?: {
    readonly "istio-lab:monitoring"?: { readonly enabled?: boolean };
    readonly "istio-lab:tracing"?: { readonly provider?: string; readonly endpoint?: string };
  };
}

/**
 * The images that the lab's settings need.
 * @param otherwise for a lab that has no stack yet.
 */
export async function wantedImages(
  lab: Instance,
  otherwise: boolean,
): Promise<Pick<Required<Wanted>, "monitoring" | "tracing">> {
  const made = existsSync(join(lab.dir, "stack.ready")) && existsSync(stackFile(lab));
  if (!made) return { monitoring: otherwise, tracing: otherwise };
  const { config = {} } = (parse(await readFile(stackFile(lab), "utf8")) ?? {}) as StackFile;
  const tracing = config["istio-lab:tracing"];
  return {
    monitoring: config["istio-lab:monitoring"]?.enabled === true,
    tracing: tracing?.provider === "zipkin" && !tracing.endpoint,
  };
}

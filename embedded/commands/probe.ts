/** `./lab probe`: the probe. The lab's stack gives what the flags leave open. */
import type { Command } from "commander";
import { probeCommand } from "../../probe/command.ts";
import { pageOf, requireOutputs } from "../lab/stack.ts";
import type { Context } from "./context.ts";

export function labProbeCommand(context: Context): Command {
  return probeCommand(async () => {
    const lab = await context.running();
    return pageOf(lab, await requireOutputs(lab));
  });
}

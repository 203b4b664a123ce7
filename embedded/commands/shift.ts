/** `./lab shift`: changes the weights of the lab's stack, and measures how the traffic follows. */
import type { Command } from "commander";
import { loadExeca } from "../../clients/process.ts";
import { shiftCommand } from "../../probe/shift/command.ts";
import { pageOf, pulumiOnTerminal, requireOutputs, useLabTools } from "../lab/stack.ts";
import { adminKubeconfig } from "../machines/controlPlane.ts";
import type { Context } from "./context.ts";

export function labShiftCommand(context: Context): Command {
  return shiftCommand(async () => {
    const lab = await context.running();
    useLabTools(lab);
    const outputs = await requireOutputs(lab);
    return {
      ...(await pageOf(lab, outputs)),
      pulumi: (args: string[]) => pulumiOnTerminal(lab, args),
      prepare: loadExeca,
      cluster: { kubeconfig: adminKubeconfig(lab) },
      namespace: outputs.namespace,
    };
  });
}

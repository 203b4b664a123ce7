/** `./lab env`: the lab's environment for a shell. */
import { Command } from "commander";
import { quote } from "../../clients/shell.ts";
import { labEnvironment } from "../lab/stack.ts";
import type { Context } from "./context.ts";

export function envCommand(context: Context): Command {
  return new Command("env")
    .description('print what a shell needs for kubectl, istioctl and pulumi: eval "$(./lab env)"')
    .action(async () => {
      for (const [name, value] of Object.entries(labEnvironment(await context.running()))) {
        console.log(value === undefined ? `unset ${name}` : `export ${name}=${quote(value)}`);
      }
    });
}

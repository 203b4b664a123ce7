/** `./lab completion`: Tab in bash, zsh and fish. */
import { join } from "node:path";
import { Argument, Command } from "commander";
import { quote } from "../../clients/shell.ts";
import { PROGRAM } from "../lab/stack.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

/** Builds the command `completion`, which prints a script for the shell to read. */
export function completionCommand(): Command {
  return new Command("completion")
    .description("print a completion script: source <(./lab completion bash)")
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .action(async (shell: (typeof SHELLS)[number]) => {
      const { script } = await import("@bomb.sh/tab");
      script(shell, "lab", quote(join(PROGRAM, "lab")));
    });
}

/** Adds `complete -- WORD...`, which the scripts run at each Tab, where the command line calls it. */
export async function addCompletions(program: Command): Promise<void> {
  if (process.argv[2] !== "complete") return;
  const { default: tab } = await import("@bomb.sh/tab/commander");
  tab(program);
}

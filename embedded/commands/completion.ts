/** Completion of `./lab` in a shell. */
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

/** Adds the command that the scripts ask at each tab, `complete -- WORD...`, when it is the one that was called. */
export async function answerScripts(program: Command): Promise<void> {
  if (process.argv[2] !== "complete") return;
  const { default: tab } = await import("@bomb.sh/tab/commander");
  tab(program);
}

/** `shift` on the command line. */
import { Command } from "commander";
import type { ShiftLab } from "./shift.ts";

/** Builds the command `shift`. */
export function shiftCommand(getLab: () => Promise<ShiftLab>): Command {
  return new Command("shift")
    .description(
      "change the weights by pulumi up and tell how long after it the last request of the old shares was seen",
    )
    .argument("<weights...>", "a weight for each version, such as v116=20 v117=80")
    .option("--json", "print one object: weights, shift, probe")
    .addHelpText(
      "after",
      "\nExit code: 0 shifted, 1 a request failed or the new split is not as configured, 2 wrong usage.",
    )
    .action(async (words: string[], flags: { json?: true }) => {
      const { shift } = await import("./shift.ts");
      if (!(await shift(await getLab(), words, flags))) process.exitCode = 1;
    });
}

/** `shift` on the command line. */
import { Command } from "commander";
import { authority } from "../command.ts";
import type { ShiftLab } from "./shift.ts";

/** Builds the command `shift`. */
export function shiftCommand(getLab: () => Promise<ShiftLab>): Command {
  return new Command("shift")
    .description(
      "change the weights by pulumi up, and measure for how long after it the old shares were served",
    )
    .argument("<weights...>", "a weight for each version, such as v116=20 v117=80")
    .option("--ca <file>", "trust this authority (PEM) too, besides the system's, for https", authority)
    .option("--json", "print one object: weights, shift, probe")
    .addHelpText(
      "after",
      "\nExit code: 0 shifted, 1 a request failed or the new split is not as configured, 2 wrong usage.",
    )
    .action(async (words: string[], { ca, json }: { ca?: string; json?: true }) => {
      // Loaded here: `--help` should not wait for an HTTP client.
      const [{ shift }, lab] = await Promise.all([import("./shift.ts"), getLab()]);
      const trusting = ca === undefined ? lab : { ...lab, ca };
      if (!(await shift(trusting, words, json ? { json } : {}))) process.exitCode = 1;
    });
}

/**
 * The probe for a stack of one's own: `node probe/main.ts -n 400`. What the flags leave open comes from the
 * Pulumi stack that is selected in this directory.
 */
import { probeCommand } from "./command.ts";
import { NoStack, selectedStack } from "./stack.ts";

const program = probeCommand(async () => (await selectedStack(process.cwd())).page);
try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof NoStack)) throw error;
  program.error(`error: ${error.message}\nWithout a stack give --url, --weights and --page.`, {
    exitCode: 2,
  });
}

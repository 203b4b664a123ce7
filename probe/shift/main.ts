/**
 * A shift on a stack of one's own: `node probe/shift/main.ts v116=20 v117=80`, in the directory where the
 * Pulumi stack is selected, with kubectl on PATH.
 */
import { execa } from "execa";
import { LabError } from "../../clients/process.ts";
import { NoStack, selectedStack } from "../stack.ts";
import { shiftCommand } from "./command.ts";

const program = shiftCommand(async () => {
  const { page, cluster, outputs } = await selectedStack(process.cwd());
  const pulumi = (args: string[]) =>
    execa("pulumi", args, { stdin: "ignore", stdout: process.stderr, stderr: "inherit" });
  return { ...page, cluster, namespace: outputs.namespace, pulumi };
});
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof LabError) program.error(`error: ${error.message}`, { exitCode: error.exitCode });
  if (error instanceof NoStack) program.error(`error: ${error.message}`, { exitCode: 2 });
  throw error;
}

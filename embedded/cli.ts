/**
 * The lab's command line: global options, interruptions, errors. The commands themselves are in commands/.
 */
import { Command, Option } from "commander";
import { isInterrupted, LabError, watchInterrupts } from "../clients/process.ts";
import { buildCommands } from "./commands/commands.ts";
import { addCompletions } from "./commands/completion.ts";
import { Context, type GlobalOptions } from "./commands/context.ts";

const program = new Command("lab")
  .description("Istio's traffic shifting on a cluster of real machines, all on this host")
  .showHelpAfterError()
  .enablePositionalOptions()
  .addHelpText(
    "after",
    "\nFor pulumi, kubectl, istioctl and ssh, --name stands before the tool's own arguments.",
  );

let options: GlobalOptions = {};
const commands = await buildCommands(process.argv.slice(2), new Context(() => options));
for (const command of commands) program.addCommand(command);
for (const command of [program, ...commands]) addGlobalOptions(command);
program.hook("preAction", (_, command) => {
  options = { ...program.opts<GlobalOptions>(), ...command.opts<GlobalOptions>() };
});
await addCompletions(program);

watchInterrupts();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
// An open lock, or a cancelled task's open handle, would keep the process running.
process.exit();

function addGlobalOptions(command: Command): void {
  command
    .option("--name <name>", "which lab; several can run side by side (default: lab)")
    .addOption(
      new Option("--subnet <a.b.c.0/24>", "the machines' network, when the lab's own is taken").argParser(
        prefixOf,
      ),
    )
    .option("-q, --quiet", "no progress on standard error");
}

/**
 * Prints an error in one line and returns the exit code. An unforeseen error is thrown again, with its stack.
 */
function report(error: unknown): number {
  if (isInterrupted()) {
    console.error("\nlab: interrupted. Finished steps are kept; the same command continues from there.");
    return 8;
  }
  if (isOfFileSystem(error) || isOfCluster(error)) {
    console.error(`lab: ${error.message}`);
    return 1;
  }
  if (!(error instanceof LabError)) throw error;
  console.error(`lab: ${error.message}`);
  return error.exitCode;
}

/**
 * The disk is full or read-only, or the path belongs to another user. The message names the path; a stack
 * would add nothing.
 */
function isOfFileSystem(error: unknown): error is Error {
  const { code } = error as { code?: unknown };
  return error instanceof Error && ["ENOSPC", "EDQUOT", "EROFS", "EACCES"].includes(String(code));
}

/**
 * The API server refuses or does not answer. The names are those of clients/kubernetes.ts, which not every
 * command loads.
 */
function isOfCluster(error: unknown): error is Error {
  return error instanceof Error && ["ApiError", "NoAnswer", "KubectlError"].includes(error.name);
}

/** The first three octets of a /24. */
function prefixOf(subnet: string): string {
  const match = /^(\d{1,3}\.\d{1,3}\.\d{1,3})\.0\/24$/.exec(subnet);
  const prefix = match?.[1];
  if (!prefix?.split(".").every((octet) => Number(octet) < 256)) {
    throw new LabError(`--subnet "${subnet}": give a /24 such as 10.211.7.0/24`, 2);
  }
  return prefix;
}

/**
 * The list of the lab's commands. A command's file is loaded when the command is called, so that `./lab
 * kubectl` starts at once.
 */
import type { Command } from "commander";
import type { Context } from "./context.ts";

type Build = (context: Context) => Command;

/** By name, in the order of `./lab --help`. */
export const COMMANDS: Readonly<Record<string, () => Promise<Build>>> = {
  up: async () => (await import("./up.ts")).upCommand,
  shift: async () => (await import("./shift.ts")).labShiftCommand,
  probe: async () => (await import("./probe.ts")).labProbeCommand,
  dashboard: async () => (await import("./dashboard.ts")).labDashboardCommand,
  status: async () => (await import("./status.ts")).statusCommand,
  logs: async () => (await import("./logs.ts")).logsCommand,
  kubeconfig: async () => (await import("./kubeconfig.ts")).kubeconfigCommand,
  env: async () => (await import("./env.ts")).envCommand,
  pulumi: async () => (await import("./tools.ts")).pulumiCommand,
  kubectl: async () => (await import("./tools.ts")).kubectlCommand,
  istioctl: async () => (await import("./tools.ts")).istioctlCommand,
  ssh: async () => (await import("./tools.ts")).sshCommand,
  down: async () => (await import("./down.ts")).downCommand,
  test: async () => (await import("./test.ts")).testCommand,
  completion: async () => (await import("./completion.ts")).completionCommand,
};

/**
 * Builds the commands whose names occur among the words of the command line. Builds all of them for
 * completion, and where no name occurs (`--help`, a misspelt name).
 */
export async function buildCommands(words: readonly string[], context: Context): Promise<Command[]> {
  const named = Object.keys(COMMANDS).filter((name) => words.includes(name));
  const some = named.length > 0 && words[0] !== "complete" && words[0] !== "help";
  const builds = await Promise.all((some ? named : Object.keys(COMMANDS)).map((name) => COMMANDS[name]?.()));
  return builds.flatMap((build) => build?.(context) ?? []);
}

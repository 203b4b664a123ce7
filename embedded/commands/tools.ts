/** `./lab pulumi`, `kubectl`, `istioctl` and `ssh`: the tool itself, in the lab's environment. */
import { Command } from "commander";
import { passThrough } from "../../clients/process.ts";
import type { Instance } from "../host/instance.ts";
import { labEnvironment, PROGRAM } from "../lab/stack.ts";
import { recoverState } from "../lab/stackState.ts";
import { knownHostsFile, SSH_USER, sshKeyFile } from "../machines/loadBalancer.ts";
import type { Context } from "./context.ts";

export function pulumiCommand(context: Context): Command {
  return tool(context, "pulumi", "Pulumi on the lab's stack: ./lab pulumi preview", async (lab) => {
    await recoverState(lab);
    return [];
  });
}

export function kubectlCommand(context: Context): Command {
  return tool(context, "kubectl", "kubectl on the lab's cluster");
}

export function istioctlCommand(context: Context): Command {
  return tool(context, "istioctl", "istioctl on the lab's cluster");
}

export function sshCommand(context: Context): Command {
  return tool(context, "ssh", "a shell, or a command, on the load balancer", async (lab) =>
    sshArguments(lab),
  );
}

/** Arguments of `ssh` before a command on the load balancer. */
export function sshArguments(lab: Instance): string[] {
  const options = [`UserKnownHostsFile=${knownHostsFile(lab)}`, "IdentitiesOnly=yes", "LogLevel=ERROR"];
  return [
    ...["-i", sshKeyFile(lab), ...options.flatMap((option) => ["-o", option])],
    `${SSH_USER}@${lab.loadBalancer.address}`,
  ];
}

/**
 * A command that hands its arguments to a tool and ends with the tool's exit code.
 *
 * @param prepare runs before the tool; the arguments that it returns come before the user's.
 */
function tool(
  context: Context,
  name: string,
  description: string,
  prepare: (lab: Instance) => Promise<string[]> = async () => [],
): Command {
  return new Command(name)
    .description(description)
    .argument("[args...]")
    .helpOption(false)
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (args: string[]) => {
      const lab = await context.running();
      const first = await prepare(lab);
      process.exitCode = await passThrough(name, [...first, ...args], {
        cwd: PROGRAM,
        env: labEnvironment(lab),
      });
    });
}

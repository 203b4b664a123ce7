/**
 * The probe beside any stack of this project: `node probe/main.ts -n 400`. What the flags leave open comes from the Pulumi stack that is
 * selected in this directory: its outputs, and the load balancer's address from its config, so that the page's host name need not
 * resolve anywhere.
 */
import { execa } from "execa";
import { pageAt, readOutputs } from "../outputs.ts";
import { type ProbeDefaults, probeCommand } from "./command.ts";

async function stackDefaults(): Promise<ProbeDefaults> {
  const [outputs, loadBalancer] = await Promise.all([
    pulumi("stack", "output", "--json"),
    pulumi("config", "get", "--path", "loadBalancer.host"),
  ]);
  const read = readOutputs(outputs) ?? fail("the selected stack has no outputs yet; run `pulumi up` first");
  return pageAt(loadBalancer.trim(), read);
}

async function pulumi(...args: string[]): Promise<string> {
  const { failed, code, stdout, stderr } = await execa("pulumi", args, { reject: false });
  if (failed) fail(code === "ENOENT" ? "no pulumi on PATH" : stderr.trim());
  return stdout;
}

function fail(reason: string): never {
  return program.error(`error: ${reason}\nWithout a stack give --url, --weights and --page.`, {
    exitCode: 2,
  });
}

const program = probeCommand(stackDefaults);
await program.parseAsync();

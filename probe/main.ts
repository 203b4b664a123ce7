/**
 * The probe beside any stack of this project: `node probe/main.ts -n 400`. What the flags leave open comes from the outputs of the
 * Pulumi stack that is selected in this directory.
 */
import { execa } from "execa";
import { type ProbeDefaults, probeCommand } from "./command.ts";

async function stackOutputs(): Promise<ProbeDefaults> {
  const { failed, stdout, stderr, code } = await execa("pulumi", ["stack", "output", "--json"], {
    reject: false,
  });
  if (failed) fail(code === "ENOENT" ? "no pulumi on PATH" : stderr.trim());
  const { url, host, pages, weights } = JSON.parse(stdout) as Partial<ProbeDefaults>;
  if (!url || !host || !pages || !weights)
    fail("the selected stack has no outputs yet; run `pulumi up` first");
  return { url, host, pages, weights };
}

function fail(reason: string): never {
  return program.error(`error: ${reason}\nWithout a stack give --url, --weights and --page.`, {
    exitCode: 2,
  });
}

const program = probeCommand(stackOutputs);
await program.parseAsync();

/** Whether a lab's haproxy.cfg is the file that was pushed last, and whether HAProxy gets its requests. */
import { quote } from "../../clients/shell.ts";
import { connect, type SshConnection } from "../../clients/ssh.ts";
import { isIntact, readFirstLine } from "../../haproxy/firstLine.ts";
import { look } from "../../haproxy/push.ts";
import { parseReport } from "../../haproxy/report.ts";
import type { Outputs } from "../../outputs.ts";
import type { Instance } from "../host/instance.ts";
import { sshTarget } from "../machines/loadBalancer.ts";

/** `as pushed`, or the difference and the command that repairs it. */
export async function haproxyDrift(
  lab: Instance,
  pushed: Pick<Outputs, "configFile" | "configHash">,
): Promise<string> {
  try {
    const target = await sshTarget(lab);
    const connection = await connect(target, { timeoutMs: 5000 });
    try {
      return await compare(connection, { ...target, ...pushed });
    } finally {
      connection.close();
    }
  } catch (error) {
    return `unknown: ${(error as Error).message}`;
  }
}

interface Pushed extends Pick<Outputs, "configFile" | "configHash"> {
  readonly host: string;
  readonly user: string;
}

/**
 * Compares the hash in the file's first line with the rest of the file, and with the hash of the last push.
 */
async function compare(
  connection: SshConnection,
  { configFile, configHash, ...account }: Pushed,
): Promise<string> {
  const file = await connection.run(`sudo -n cat ${quote(configFile)}`);
  if (file.exitCode !== 0) throw new Error(file.stderr.trim() || "the connection was lost");
  const text = file.stdout;
  const { hash, owner = "" } = readFirstLine(text) ?? {};
  if (hash !== configHash) return "not what was pushed last: ./lab up pushes it again";
  if (!isIntact(text))
    return "edited by hand since it was pushed: ./lab up keeps the edit beside it and pushes the lab's file";
  const listen = [...text.matchAll(/^ *bind (?!unix@)(\S+)/gm)].map(([, address = ""]) => address);
  // A file of its own has a section `global`; a file beside others has none.
  const mode = /^global$/m.test(text) ? "file" : "include";
  const { command, input } = look({ ...account, configFile, mode }, { owner, listen });
  const { faults } = parseReport((await connection.run(command, { input })).stdout);
  return faults.length > 0 ? `as pushed, but ${faults.join("; ")}` : "as pushed";
}

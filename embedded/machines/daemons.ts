/** Finds a machine's daemons that have ended, and fails a wait when one of them or the machine ends. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { LabError, run } from "../../clients/process.ts";
import type { MachineSpec } from "../host/instance.ts";
import { hasEnded } from "./machine.ts";

/** Milliseconds between two checks of the daemons. */
const INTERVAL = 500;

export interface DeadDaemon {
  readonly daemon: string;
  readonly exitCode: number;
}

/** Daemons of a running machine that have ended, with their exit codes. */
export async function deadDaemons(machine: MachineSpec): Promise<DeadDaemon[]> {
  const run = join(machine.dir, "run");
  const files = (await readdir(run).catch(() => [] as string[])).filter((name) => name.endsWith(".exit"));
  return Promise.all(
    files.map(async (name) => ({
      daemon: name.slice(0, -".exit".length),
      exitCode: Number(await readFile(join(run, name), "utf8")),
    })),
  );
}

/**
 * Does the work while the machines and all their daemons run. Without them the work would wait in vain.
 *
 * @param work gets a signal that fires when it must give up
 * @throws LabError when a daemon or a machine ends; it names it, its exit code and the end of its log
 */
export async function whileDaemonsRun<T>(
  machines: readonly MachineSpec[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const death = new Promise<never>((_, reject) => {
    const look = async () => {
      for (const machine of machines) {
        const [dead] = await deadDaemons(machine);
        if (dead) throw await describe(machine, dead);
        if (await hasEnded(machine)) throw await describeEnd(machine);
      }
      timer = setTimeout(() => void look().catch(reject), INTERVAL);
    };
    void look().catch(reject);
  });
  try {
    return await Promise.race([work(controller.signal), death]);
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
}

async function describe({ name, dir }: MachineSpec, { daemon, exitCode }: DeadDaemon): Promise<LabError> {
  return new LabError(
    `${daemon} on ${name} ended with exit code ${exitCode}; ./lab up starts the machine again. ` +
      (await endOfLog(dir, daemon)),
  );
}

async function describeEnd({ name, dir }: MachineSpec): Promise<LabError> {
  return new LabError(
    `machine ${name} has ended; ./lab up starts it again. ${await endOfLog(dir, "console")}`,
  );
}

/**
 * The end of a machine's log, for an error. The last fatal line of a Kubernetes daemon is added where it is
 * further up, because other threads go on logging.
 */
export async function endOfLog(dir: string, daemon: string): Promise<string> {
  const log = join(dir, "log", `${daemon}.log`);
  const last = await run("tail", ["-n", "8", log]).catch(() => "");
  const fatal = (await run("grep", ["-E", "^(F[0-9]{4} |panic: )", log]).catch(() => "")).split("\n").pop();
  return `Last lines of ${log}:\n${fatal && !last.includes(fatal) ? `${fatal}\n...\n` : ""}${last}`;
}

/**
 * What every command of `./lab` gets: the lab that the global options choose, and the lock for changing it.
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { LabError } from "../../clients/process.ts";
import { faultInName, findInstance, type Instance, stateHome, upCommand } from "../host/instance.ts";
import { withLock } from "../host/lock.ts";
import { adminKubeconfig } from "../machines/controlPlane.ts";

/** Options that every command takes, before or after its name. */
export interface GlobalOptions {
  readonly name?: string;
  /** First three octets of the machines' /24. */
  readonly subnet?: string;
  readonly quiet?: true;
}

export class Context {
  readonly #options: () => GlobalOptions;

  /** @param options called by a command's action, when the command line has been parsed */
  constructor(options: () => GlobalOptions) {
    this.#options = options;
  }

  /** Whether progress on standard error is unwanted. */
  get quiet(): boolean {
    return this.#options().quiet ?? false;
  }

  /**
   * The chosen lab, up or not.
   *
   * @param workers number of workers where it does not exist yet
   */
  async lab(workers?: number): Promise<Instance> {
    const { name = "lab", subnet } = this.#options();
    const fault = faultInName(name);
    if (fault) throw new LabError(fault, 2);
    if (process.getuid?.() !== 0) throw new LabError("the lab's machines need root: run it with sudo");
    return findInstance(name, { prefix: subnet, workers });
  }

  /** The chosen lab, whose machines are up. */
  async running(): Promise<Instance> {
    const lab = await this.lab();
    if (existsSync(adminKubeconfig(lab))) return lab;
    throw new LabError(`lab "${lab.name}" is not up; start it with: ${upCommand(lab)}`);
  }

  /** Runs the action on the chosen lab while no other command changes it. */
  async exclusively(action: (lab: Instance) => Promise<void>, workers?: number): Promise<void> {
    const lab = await this.lab(workers);
    const refuse = () => {
      throw new LabError(`another ./lab command is changing lab "${lab.name}"; wait for it to end`);
    };
    const lock = join(stateHome(), `${lab.name}.lock`);
    await withLock(lock, refuse, async () => {
      try {
        await action(lab);
      } finally {
        if (!existsSync(lab.dir)) await rm(lock, { force: true });
      }
    });
  }
}

/** `./lab test`: every check of the project, with the end-to-end tests on labs of their own. */
import { join } from "node:path";
import { Command, Option } from "commander";
import { passThrough } from "../../clients/process.ts";
import { cacheHome } from "../host/instance.ts";
import { group, runTasks } from "../host/progress.ts";
import { PLUGINS_VARIABLE, requireOfficialPlugins } from "../lab/plugins.ts";
import { PROGRAM } from "../lab/stack.ts";
import { Suite } from "../lab/suite.ts";
import { ensureBrowser } from "../toolchain/browser.ts";
import { ensureToolchain } from "../toolchain/toolchain.ts";
import { TOOLCHAIN } from "./up.ts";

interface Flags {
  /** Write docs/reliability.md and the pictures of docs from what the end-to-end tests saw. */
  readonly write?: true;
  /** Plugins for the labs of the end-to-end tests. @default as `./lab up` chooses */
  readonly plugins?: "official" | "stand-ins";
  /** The lab on a stock system's own kernel in emulation, and nothing else. */
  readonly stock?: string | true;
}

export function testCommand(): Command {
  return new Command("test")
    .description("type check, lint, unit tests, then the end-to-end tests on labs of their own")
    .argument("[files...]", "only these test files")
    .option(
      "--write",
      "write docs/reliability.md and the pictures of docs from what the end-to-end tests saw",
    )
    .option(
      "--stock [system]",
      "only this: a lab on the kernel and systemd of debian-12, or of another system, in emulation; long",
    )
    .addOption(
      new Option("--plugins <which>", "Pulumi plugins of the end-to-end tests' labs").choices([
        "official",
        "stand-ins",
      ]),
    )
    .action(async (files: string[], flags: Flags) => {
      process.exitCode = flags.stock ? await testOnStock(flags.stock) : await testEverything(files, flags);
    });
}

function testOnStock(system: string | true): Promise<number> {
  const name = system === true ? [] : [system];
  return passThrough(process.execPath, ["--no-warnings", "test/stock/stock.ts", ...name], { cwd: PROGRAM });
}

/** Prints `N passed, N failed` last, and returns the exit code. */
async function testEverything(files: readonly string[], { write, plugins }: Flags): Promise<number> {
  if (plugins === "official") await requireOfficialPlugins();
  await ensureToolchain(
    (steps) => runTasks([group(TOOLCHAIN, steps)]),
    (line) => console.error(`lab: ${line}`),
    { monitoring: true, tracing: true },
  );
  // The browser comes before the tests: a failed installation is then reported at once, not after minutes.
  if (files.length === 0) await ensureBrowser();
  const suite = new Suite(files, {
    PATH: `${join(cacheHome(), "tools")}:${join(PROGRAM, "node_modules/.bin")}:${process.env.PATH}`,
    ...(plugins === undefined ? {} : { [PLUGINS_VARIABLE]: plugins }),
    ...(write ? { ISTIO_LAB_WRITE: "1" } : {}),
  });
  const [passed, failed] = write ? await suite.oneAfterTheOther() : await suite.sideBySide();
  for (const name of failed) console.log(`failed: ${name}`);
  console.log(`${passed} passed, ${failed.length} failed`);
  return failed.length > 0 || passed === 0 ? 1 : 0;
}

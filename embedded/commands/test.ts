/** `./lab test`: every check of the project, the end-to-end tests on labs of their own included. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { passThrough, run } from "../../clients/process.ts";
import { group, runTasks } from "../host/progress.ts";
import { cacheHome } from "../instance.ts";
import { PLUGINS_VARIABLE, requireOfficialPlugins } from "../lab/plugins.ts";
import { PROGRAM } from "../lab/stack.ts";
import { ensureBrowser } from "../toolchain/browser.ts";
import { ensureToolchain, type Toolchain, type Wanted } from "../toolchain/toolchain.ts";
import { TOOLCHAIN } from "./up.ts";

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
}

interface Flags {
  /** Write docs/reliability.md and the pictures of docs from what the end-to-end tests saw. */
  readonly write?: true;
  /** Plugins for the labs of the end-to-end tests. @default as `./lab up` chooses */
  readonly plugins?: "official" | "stand-ins";
  /** The lab on Debian's own kernel in emulation, and nothing else. */
  readonly stock?: true;
}

export function testCommand(): Command {
  return new Command("test")
    .description("type check, lint, unit tests, then the end-to-end tests on labs of their own")
    .argument("[files...]", "only these test files")
    .option(
      "--write",
      "write docs/reliability.md and the pictures of docs from what the end-to-end tests saw",
    )
    .option("--stock", "only this: a lab on Debian 12's own kernel and systemd, in emulation; long")
    .addOption(
      new Option("--plugins <which>", "Pulumi plugins of the end-to-end tests' labs").choices([
        "official",
        "stand-ins",
      ]),
    )
    .action(async (files: string[], flags: Flags) => {
      process.exitCode = flags.stock ? await testOnStock() : await testEverything(files, flags);
    });
}

async function testOnStock(): Promise<number> {
  const { testStock } = await import("../../test/stock/stock.ts");
  return testStock(await toolchain({ monitoring: false, tracing: false }));
}

function toolchain(wanted: Wanted = {}): Promise<Toolchain> {
  return ensureToolchain(
    (steps) => runTasks([group(TOOLCHAIN, steps)]),
    (line) => console.error(`lab: ${line}`),
    { monitoring: true, tracing: true, ...wanted },
  );
}

/**
 * Runs types, lint, shell scripts, unit tests, end-to-end tests. Prints `N passed, N failed` last and returns
 * the exit code. A check that is not a test counts as one.
 */
async function testEverything(files: readonly string[], { write, plugins }: Flags): Promise<number> {
  if (plugins === "official") await requireOfficialPlugins();
  await toolchain();
  // First, so that a browser that cannot be installed is reported at once and not after minutes of tests.
  if (files.length === 0) await ensureBrowser();
  const env = {
    PATH: `${join(cacheHome(), "tools")}:${join(PROGRAM, "node_modules/.bin")}:${process.env.PATH}`,
    ...(plugins === undefined ? {} : { [PLUGINS_VARIABLE]: plugins }),
  };
  const scripts = (await run("git", ["-C", PROGRAM, "ls-files", "*.sh", "lab", ".ci/run"]))
    .split("\n")
    .filter(Boolean);
  const checks: [string, string[]][] = [
    ["tsc", ["--noEmit"]],
    ["tsc", ["--noEmit", "--project", "dashboard/page"]],
    ["biome", ["ci", "."]],
    ["shellcheck", scripts],
  ];
  let passed = 0;
  let failed = 0;
  for (const [command, args] of files.length > 0 ? [] : checks) {
    console.error(`\n== ${command} ${command === "shellcheck" ? "" : args.join(" ")}`);
    const ok = (await passThrough(command, args, { cwd: PROGRAM, env })) === 0;
    passed += ok ? 1 : 0;
    failed += ok ? 0 : 1;
  }
  for (const project of ["unit*", "e2e"]) {
    console.error(`\n== ${project} tests`);
    const reporters = write && project === "e2e" ? ["./test/support/e2e/reliabilityReporter.ts"] : [];
    const report = await vitest(project, files, reporters, {
      ...env,
      ...(write ? { ISTIO_LAB_WRITE: "1" } : {}),
    });
    passed += report.numPassedTests;
    failed += report.numFailedTests;
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

async function vitest(
  project: string,
  files: readonly string[],
  reporters: readonly string[],
  env: Record<string, string>,
): Promise<Report> {
  const dir = await mkdtemp(join(tmpdir(), "istio-lab-test-"));
  const file = join(dir, "report.json");
  const args = ["run", "--project", project, "--passWithNoTests", `--outputFile.json=${file}`];
  const reporting = ["verbose", "json", ...reporters].map((reporter) => `--reporter=${reporter}`);
  const exitCode = await passThrough("vitest", [...args, ...reporting, ...files], {
    cwd: PROGRAM,
    env,
  });
  const none: Report = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0 };
  const report = await readFile(file, "utf8").then(
    (text) => JSON.parse(text) as Report,
    () => none,
  );
  await rm(dir, { recursive: true });
  // A suite that breaks outside its tests counts as a failure too.
  return exitCode !== 0 && report.numFailedTests === 0 ? { ...report, numFailedTests: 1 } : report;
}

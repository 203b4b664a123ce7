import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { passThrough, run } from "../../clients/process.ts";
import { runTasks } from "../host/progress.ts";
import { cacheHome } from "../instance.ts";
import { PLUGINS_VARIABLE, requireOfficialPlugins } from "../lab/plugins.ts";
import { PROGRAM } from "../lab/stack.ts";
import { ensureBrowser } from "../toolchain/browser.ts";
import { ensureToolchain } from "../toolchain/toolchain.ts";

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
}

/**
 * Runs every check: types, lint, shell scripts, unit tests, end-to-end tests. Prints `N passed, N failed` last
 * and returns the exit code. A check that is no test counts as one.
 *
 * @param options.write docs/reliability.md and docs/browser.png are written from what the end-to-end tests saw
 * @param options.plugins `official` or `stand-ins` for the labs of the end-to-end tests; by default as `./lab up`
 */
export async function testEverything(
  files: readonly string[],
  { write = false, plugins }: { write?: boolean; plugins?: string } = {},
): Promise<number> {
  if (plugins === "official") await requireOfficialPlugins();
  await ensureToolchain(
    (tasks) => runTasks(tasks),
    (line) => console.error(`lab: ${line}`),
  );
  // Early: what cannot be installed is known before the tests have run for minutes.
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
    ["biome", ["ci", "."]],
    ["shellcheck", scripts],
  ];
  let passed = 0;
  let failed = 0;
  for (const [command, args] of files.length > 0 ? [] : checks) {
    console.error(`\n== ${command}`);
    const ok = (await passThrough(command, args, { cwd: PROGRAM, env })) === 0;
    passed += ok ? 1 : 0;
    failed += ok ? 0 : 1;
  }
  for (const project of ["unit", "e2e"]) {
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
  // A suite that breaks outside its tests has failed too.
  return exitCode !== 0 && report.numFailedTests === 0 ? { ...report, numFailedTests: 1 } : report;
}

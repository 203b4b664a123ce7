/** Which checks `./lab test` runs, and how it counts what they report; vitest and the rest are stand-ins. */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PROGRAM } from "../../../../embedded/lab/stack.ts";
import { Suite } from "../../../../embedded/lab/suite.ts";

let bin: string;

beforeEach(async () => {
  bin = await mkdtemp(join(tmpdir(), "istio-lab-suite-"));
  for (const name of ["tsc", "biome", "shellcheck"]) await command(name, "exit 0");
});
afterEach(() => rm(bin, { recursive: true }));

async function command(name: string, script: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, name), 0o755);
}

/** A vitest whose runs report two passed tests each and, in one project, a failed one. */
function vitest(failing: string, exitCode = 0): Promise<void> {
  const report = (failed: string) =>
    JSON.stringify({
      numPassedTests: 2,
      testResults: [{ name: "x", assertionResults: [{ status: failed, fullName: "a name" }] }],
    });
  return command(
    "vitest",
    `file=; for word; do case $word in --outputFile.json=*) file=\${word#*=} ;; esac; done
case "$*" in *"--project ${failing} "*) echo '${report("failed")}' >"$file"; exit 1 ;; esac
echo '${report("passed")}' >"$file"; exit ${exitCode}`,
  );
}

const suite = (...files: string[]) => new Suite(files, { PATH: `${bin}:${process.env.PATH}` });

describe("the suite", () => {
  it("counts the checks that are not tests, and the tests of each lane", async () => {
    await vitest("none");
    expect(await suite().sideBySide()).toEqual([4 + 3 * 2, []]);
  });

  it.each(["e2e", "unit*", "e2e-alone"])("names a test of %s that fails", async (project) => {
    await vitest(project);
    expect(await suite().sideBySide()).toEqual([4 + 3 * 2, ["a name"]]);
  });

  it("names a check that fails, and goes on", async () => {
    await vitest("none");
    await command("biome", "exit 1");
    expect(await suite().sideBySide()).toEqual([3 + 3 * 2, ["biome ci ."]]);
  });

  it("counts a run that breaks outside its tests", async () => {
    await vitest("none", 1);
    const [, failed] = await suite().sideBySide();
    expect(failed.toSorted()).toEqual([
      "vitest --project e2e",
      "vitest --project e2e-alone",
      "vitest --project unit*",
    ]);
  });

  it("names a file whose set-up fails", async () => {
    const results = [{ name: join(PROGRAM, "test/e2e/x.test.ts"), status: "failed", assertionResults: [] }];
    const report = JSON.stringify({ numPassedTests: 0, testResults: results });
    await command(
      "vitest",
      `for word; do case $word in --outputFile.json=*) echo '${report}' >"\${word#*=}" ;; esac; done; exit 1`,
    );
    const [, failed] = await suite("x.test.ts").sideBySide();
    expect(failed).toContain("test/e2e/x.test.ts");
  });

  it("runs given files alone, without the checks that are not tests", async () => {
    await vitest("none");
    await command("tsc", "exit 1");
    expect(await suite("some.test.ts").sideBySide()).toEqual([3 * 2, []]);
  });

  it("has all end-to-end tests in one run where a document is written from it", async () => {
    await vitest("e2e*");
    expect(await suite().oneAfterTheOther()).toEqual([4 + 2 * 2, ["a name"]]);
  });
});

/** The projects of tests: unit, and end-to-end on labs of their own. */
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** End-to-end files that take minutes. They start first, so that none of them runs alone at the end. */
const LONGEST = [
  ...["interrupted", "changes", "observe", "load", "policies"],
  ...["ground", "lab", "https", "preflight", "sharing"],
].map((name) => `${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => LONGEST.indexOf(basename(moduleId));
    const others = await super.sort(files.filter((file) => rank(file) < 0));
    return [...files.filter((file) => rank(file) >= 0).sort((a, b) => rank(a) - rank(b)), ...others];
  }
}

const UNIT = "test/unit/**/*.test.ts";
const textOf = (file: string) => readFileSync(file, "utf8");
/** Helpers whose hooks are those of the file that imports them first. */
const HOOKED = globSync("test/support/*.ts").filter((file) =>
  /^(before|after)(All|Each)\(/m.test(textOf(file)),
);
/** Unit tests that need modules of their own: they replace some, or import helpers with hooks. */
const ISOLATED = globSync(UNIT).filter((file) => {
  const text = textOf(file);
  const helpers = ["program.ts", ...HOOKED.map((helper) => basename(helper))];
  return text.includes("vi.mock(") || helpers.some((helper) => text.includes(`/support/${helper}"`));
});

/**
 * End-to-end files without a cluster: the load balancer's machine alone, a bare Debian, a mirror, the page.
 */
const ALONE = ["edge*", "bareHost", "official", "dashboardPage"].map((name) => `test/e2e/${name}.test.ts`);
const PATIENCE = { testTimeout: 300_000, hookTimeout: 600_000 };

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      // Importing Pulumi, zod and ssh2 anew for each file would take longer than the tests do.
      { test: { name: "unit", include: [UNIT], exclude: ISOLATED, isolate: false, testTimeout: 60_000 } },
      { test: { name: "unit-isolated", include: ISOLATED, testTimeout: 60_000 } },
      // Machines of other releases, and with more on them, which take minutes to make: see
      // docs/load-balancer.md.
      {
        test: {
          name: "extra",
          include: ["test/extra/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
      // Each file has a lab of its own. Two run at a time: they wait more than they compute.
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          exclude: ALONE,
          ...PATIENCE,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "e2e-alone",
          include: ALONE,
          ...PATIENCE,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});

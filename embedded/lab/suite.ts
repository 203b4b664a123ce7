/** All checks of the project, in two lanes: what needs a cluster, and beside it everything else. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { execa } from "execa";
import { run } from "../../clients/process.ts";
import { PROGRAM } from "./stack.ts";

/** What of vitest's JSON report is read. */
interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    /** Absolute path of the file. */
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** How many passed, and the names of those that failed. A check that is not a test counts as one. */
export type Tally = readonly [passed: number, failed: readonly string[]];

interface Step {
  readonly title: string;
  /** @param live true: what it prints appears as it comes; false: all of it at its end */
  run(live: boolean): Promise<Tally>;
}

export class Suite {
  readonly #files: readonly string[];
  readonly #env: Readonly<Record<string, string>>;

  /**
   * @param files only these test files, and none of the checks that are not tests; all when there are none
   * @param env what the checks' environment has beside this process's own
   */
  constructor(files: readonly string[], env: Readonly<Record<string, string>>) {
    this.#files = files;
    this.#env = env;
  }

  /** Tests on clusters wait more than they compute: all others fit in beside them. */
  async sideBySide(): Promise<Tally> {
    const clusters = this.#vitest("end-to-end tests on clusters", "e2e");
    const others = [
      ...(await this.#checks()),
      this.#vitest("unit tests", "unit*"),
      this.#vitest("end-to-end tests without a cluster", "e2e-alone"),
    ];
    return sum(await Promise.all([inTurn([clusters], true), inTurn(others, false)]));
  }

  /** One run has all end-to-end tests, so that docs/reliability.md can be written from it. */
  async oneAfterTheOther(): Promise<Tally> {
    const reporter = "--reporter=./test/support/e2e/reliabilityReporter.ts";
    return inTurn(
      [
        ...(await this.#checks()),
        this.#vitest("unit tests", "unit*"),
        this.#vitest("end-to-end tests", "e2e*", reporter),
      ],
      true,
    );
  }

  async #checks(): Promise<Step[]> {
    if (this.#files.length > 0) return [];
    const scripts = await run("git", ["-C", PROGRAM, "ls-files", "*.sh", "lab", ".ci/run"]);
    return [
      this.#check("tsc", "--noEmit"),
      this.#check("tsc", "--noEmit", "--project", "dashboard/page"),
      this.#check("biome", "ci", "."),
      this.#check("shellcheck", ...scripts.split("\n").filter(Boolean)),
    ];
  }

  #check(command: string, ...args: string[]): Step {
    const title = command === "shellcheck" ? command : [command, ...args].join(" ");
    const check = async (live: boolean): Promise<Tally> =>
      (await this.#exitCode(command, args, live)) === 0 ? [1, []] : [0, [title]];
    return { title, run: check };
  }

  #vitest(title: string, project: string, ...options: string[]): Step {
    return { title, run: (live) => this.#tests(project, options, live) };
  }

  async #tests(project: string, options: readonly string[], live: boolean): Promise<Tally> {
    const dir = await mkdtemp(join(tmpdir(), "istio-lab-test-"));
    const file = join(dir, "report.json");
    const args = ["run", "--project", project, "--passWithNoTests", `--outputFile.json=${file}`];
    const reporters = [`--reporter=${live ? "verbose" : "default"}`, "--reporter=json", ...options];
    const exitCode = await this.#exitCode("vitest", [...args, ...reporters, ...this.#files], live);
    const report = await readFile(file, "utf8").then(
      (text) => JSON.parse(text) as Report,
      () => undefined,
    );
    await rm(dir, { recursive: true });
    const failed = (report?.testResults ?? []).flatMap(({ name, status, assertionResults }) => {
      const tests = assertionResults.filter((test) => test.status === "failed");
      // A file whose lab does not start has no test that failed.
      if (status === "failed" && tests.length === 0) return [relative(PROGRAM, name)];
      return tests.map(({ fullName }) => fullName);
    });
    // A suite that breaks outside its tests counts as a failure too.
    if (exitCode !== 0 && failed.length === 0) failed.push(`vitest --project ${project}`);
    return [report?.numPassedTests ?? 0, failed];
  }

  async #exitCode(command: string, args: readonly string[], live: boolean): Promise<number> {
    const output = live ? ({ stdio: "inherit" } as const) : ({ stdin: "ignore", all: true } as const);
    const result = await execa(command, args, { cwd: PROGRAM, env: this.#env, reject: false, ...output });
    if (!live) console.error(result.all);
    return result.exitCode ?? 1;
  }
}

async function inTurn(steps: readonly Step[], live: boolean): Promise<Tally> {
  const tallies: Tally[] = [];
  for (const { title, run } of steps) {
    if (live) console.error(`\n== ${title}`);
    const tally = await run(live);
    if (!live) console.error(`== ${title}: ${tally[0]} passed, ${tally[1].length} failed`);
    tallies.push(tally);
  }
  return sum(tallies);
}

function sum(tallies: readonly Tally[]): Tally {
  return [tallies.reduce((total, [passed]) => total + passed, 0), tallies.flatMap(([, failed]) => failed)];
}

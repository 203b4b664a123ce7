/** Writes docs/reliability.md from the trials of a run of the end-to-end tests. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Reporter, TestCase, TestModule } from "vitest/node";
import type { Sightings } from "./trial.ts";

const FILE = join(import.meta.dirname, "../../..", "docs", "reliability.md");

interface Row {
  readonly group: string;
  readonly name: string;
  readonly survived: boolean;
  readonly seen: Sightings;
}

/** The reporter of vitest that collects the trials and writes the document. */
export default class ReliabilityReporter implements Reporter {
  async onTestRunEnd(modules: readonly TestModule[]): Promise<void> {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const rows = tests.flatMap((test) => {
      const seen = test.meta().trial;
      return seen ? [{ group: groupOf(test), name: test.name, survived: test.ok(), seen }] : [];
    });
    await writeFile(FILE, document(rows));
  }
}

function groupOf({ parent }: TestCase): string {
  return parent.type === "suite" ? parent.name : "";
}

function document(rows: readonly Row[]): string {
  const sum = (figure: (row: Row) => number) => rows.reduce((total, row) => total + figure(row), 0);
  const requests = sum(({ seen }) => seen.requests);
  const failed = sum(({ seen }) => seen.failed);
  return `# What was done to a running lab, and what came of it

Written by \`./lab test --write\` from its end-to-end tests, which run against real machines: API server, kubelets, istiod, Envoy,
sshd, systemd, HAProxy. Requests are those that a client sent through the load balancer meanwhile; a leak is a thing that should be gone
and was still there.

| faults and changes tried | survived | requests meanwhile | failed | looked at for leaks | leaks |
|---|---|---|---|---|---|
| ${rows.length} | ${sum(({ survived }) => Number(survived))} | ${number(requests)} | ${number(failed)} | ${number(sum(({ seen }) => seen.lookedAt))} | ${sum(({ seen }) => seen.leaks.length)} |

${[...Map.groupBy(rows, ({ group }) => group)].map(([group, some]) => section(group, some)).join("\n")}`;
}

function section(group: string, rows: readonly Row[]): string {
  const lines = rows.map(({ name, survived, seen }) => {
    const { requests, failed, lookedAt, leaks } = seen;
    const traffic = requests > 0 ? `${number(requests)} | ${number(failed)}` : " | ";
    const leaked = lookedAt > 0 ? `${number(lookedAt)} | ${leaks.length}` : " | ";
    return `| ${name.replaceAll("|", "\\|")} | ${survived ? "yes" : "**no**"} | ${traffic} | ${leaked} |`;
  });
  return `## ${group}

| | survived | requests | failed | looked at | leaks |
|---|---|---|---|---|---|
${lines.join("\n")}
`;
}

const number = (value: number) => value.toLocaleString("en-US");

/** `./lab status`: machines, daemons, cluster, stack, drift of haproxy.cfg, stand-ins. */
import { styleText } from "node:util";
import { Command } from "commander";
import { readStatus, type Status } from "../lab/status.ts";
import type { Part } from "../toolchain/parts.ts";
import type { Context } from "./context.ts";

export function statusCommand(context: Context): Command {
  return new Command("status")
    .description("machines, daemons, cluster, stack, alerts, stand-ins")
    .option("--json", "print one object")
    .addHelpText("after", "\nExit code: 0 up and well, 1 anything else.")
    .action(async ({ json }: { json?: true }) => {
      const status = await readStatus(await context.lab());
      console.log(json ? JSON.stringify(status, null, 2) : render(status));
      process.exitCode = status.ok ? 0 : 1;
    });
}

function render({ machines, cluster, stack, haproxyConfig, alerts, parts, standIns }: Status): string {
  return [
    ...machines.flatMap(({ machine, address, state, problems }) => [
      line(state === "running", machine, `${address.padEnd(15)} ${state}`),
      ...problems.map((problem) => `    ${problem}`),
    ]),
    ...(cluster.length === 0
      ? [line(true, "cluster", "all nodes Ready")]
      : cluster.map((problem) => line(false, "cluster", problem))),
    stack
      ? line(true, "stack", `${stack.url}  ${shares(stack.weights)}`)
      : line(false, "stack", "not up: ./lab up"),
    line(haproxyConfig === "as pushed", "haproxy.cfg", haproxyConfig),
    ...section("Alerts:", alerts),
    ...section("Parts:", parts.map(describePart)),
    ...section("Stand-ins, for what this kind of machine cannot download:", standIns),
  ].join("\n");
}

/** Nothing where there is nothing to list. */
function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", title, ...lines.map((each) => `  - ${each}`)];
}

function describePart({ part, official, why }: Part): string {
  return `${part}: ${official ? "official" : `built on this host (${why})`}`;
}

function line(ok: boolean, name: string, text: string): string {
  return `${ok ? styleText("green", "✔") : styleText("red", "✖")} ${name.padEnd(16)} ${text}`;
}

function shares(weights: Readonly<Record<string, number>>): string {
  return Object.entries(weights)
    .map(([version, weight]) => `${version} ${weight} %`)
    .join(", ");
}

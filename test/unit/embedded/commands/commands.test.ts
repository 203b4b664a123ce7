/** Tests of embedded/commands/commands.ts. */
import { expect, test } from "vitest";
import { buildCommands, COMMANDS } from "../../../../embedded/commands/commands.ts";
import { Context } from "../../../../embedded/commands/context.ts";

const context = new Context(() => ({}));
const named = async (line: string) =>
  (await buildCommands(line.split(" "), context)).map((command) => command.name());

test("each command has the name that it is listed under", async () => {
  expect(await named("--help")).toEqual(Object.keys(COMMANDS));
});

test.each([
  ["kubectl get pods", ["kubectl"]],
  ["--name x shift v116=20 v117=80", ["shift"]],
  ["--name up status", ["up", "status"]],
])("%j loads what it may mean, and nothing else", async (line, commands) => {
  expect(await named(line)).toEqual(commands);
});

test.each(["statsu", "help up", "complete -- up"])("%j loads all", async (line) => {
  expect(await named(line)).toEqual(Object.keys(COMMANDS));
});

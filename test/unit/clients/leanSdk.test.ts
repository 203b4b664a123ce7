/** The parts of the SDK that clients/leanSdk.ts defers: not loaded with it, and whole at their first use. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = new URL("../../../", import.meta.url);

const LEAN = ["--import", "./clients/leanSdk.ts"];

/** Runs a module in a process of its own, and returns what it prints. */
async function printed(code: string, flags = LEAN): Promise<unknown> {
  const args = ["--no-warnings", ...flags, "--input-type=module", "--eval", code];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  return JSON.parse(stdout);
}

const START = `
  import * as pulumi from "@pulumi/pulumi";
  import { createRequire } from "node:module";
  const { cache } = createRequire(import.meta.url);
  const isLoaded = (part) => Object.keys(cache).some((file) => cache[file].exports && file.includes(part));
  const heavy = () => ["/typescript/", "/@npmcli/arborist/", "/automation/stack.js"].map(isLoaded);
`;

test("neither TypeScript nor Arborist nor the Automation API is loaded with the SDK", async () => {
  expect(await printed(`${START} console.log(JSON.stringify(heavy()))`)).toEqual([false, false, false]);
});

test("a function is turned into text, with TypeScript", async () => {
  const code = `${START}
    const answer = 42;
    const { text } = await pulumi.runtime.serializeFunction(() => answer);
    console.log(JSON.stringify([text.includes("42"), ...heavy()]));`;
  expect(await printed(code)).toEqual([true, true, false, false]);
});

test("the files of a program's packages are collected, with Arborist", async () => {
  const code = `${START}
    const paths = await pulumi.runtime.computeCodePaths();
    console.log(JSON.stringify([paths.size > 0, ...heavy()]));`;
  expect(await printed(code)).toEqual([true, false, true, false]);
});

test("the Automation API is whole", async () => {
  const code = `${START}
    const { automation } = pulumi;
    const exists = [automation.LocalWorkspace, automation.Stack].every((each) => typeof each === "function");
    console.log(JSON.stringify([exists, automation.nothing ?? null, isLoaded("/automation/stack.js")]));`;
  expect(await printed(code)).toEqual([true, null, true]);
});

test("the SDK exports the same as without it", async () => {
  const code = `
    import * as pulumi from "@pulumi/pulumi";
    const typesOf = (exports) => Object.entries(exports).map(([name, value]) => [name, typeof value]);
    console.log(JSON.stringify([typesOf(pulumi), typesOf(pulumi.runtime)]));`;
  expect(await printed(code)).toEqual(await printed(code, []));
});

test("the runner loads no source maps and no OpenTelemetry SDK", async () => {
  // The runner ends the process at once, because no address of an engine is given.
  const code = `
    import { createRequire } from "node:module";
    const require = createRequire(import.meta.url);
    const loaded = (part) => Object.keys(require.cache).some((file) => file.includes(part));
    process.on("exit", () => {
      process.exitCode = 0;
      const parts = ["/cmd/run/run.js", "/source-map/", "/sdk-trace-node/"];
      console.log(JSON.stringify(parts.map(loaded)));
    });
    require("@pulumi/pulumi/cmd/run/run.js");`;
  expect(await printed(code)).toEqual([true, false, false]);
});

test("a traced program records its spans", async () => {
  const code = `
    import { createRequire } from "node:module";
    const tracing = createRequire(import.meta.url)("@pulumi/pulumi/cmd/run/tracing.js");
    console.log(JSON.stringify(Object.keys(tracing).sort()));`;
  const traced = ["--no-warnings", ...LEAN, "--input-type=module", "--eval", code, "--", "--tracing", "a"];
  const { stdout } = await promisify(execFile)(process.execPath, traced, { cwd: ROOT });
  expect(JSON.parse(stdout)).toEqual(["newSpan", "start", "stop"]);
});

/** Tests of embedded/plugins/languageNodejs.ts. */
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { empty } from "../../../../embedded/plugins/server.ts";
import { Plugin, startPlugin } from "../../../support/pluginHarness.ts";

const require = createRequire(import.meta.url);
const messages: typeof import("@pulumi/pulumi/proto/language_pb.js") = require("@pulumi/pulumi/proto/language_pb.js");
const services: typeof import("@pulumi/pulumi/proto/language_grpc_pb.js") = require("@pulumi/pulumi/proto/language_grpc_pb.js");

const PATIENCE = { timeout: 20_000 };
let host: ChildProcess;
let client: InstanceType<typeof services.LanguageRuntimeClient>;
let directory: string;
let output = "";

beforeAll(async () => {
  const { child, port } = await startPlugin("languageNodejs.ts", ["-root=/x", "127.0.0.1:4711"]);
  host = child;
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  client = new services.LanguageRuntimeClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
});
beforeEach(() => {
  output = "";
  directory = mkdtempSync(join(tmpdir(), "program-"));
});
afterAll(() => {
  client.close();
  host.kill("SIGINT");
});

/** A program directory whose `@pulumi/pulumi/cmd/run` is the given script. */
function program(script: string): void {
  const sdk = join(directory, "node_modules/@pulumi/pulumi");
  mkdirSync(join(sdk, "cmd/run"), { recursive: true });
  writeFileSync(join(sdk, "package.json"), '{ "name": "@pulumi/pulumi", "version": "3.0.0" }');
  writeFileSync(join(sdk, "cmd/run/index.js"), script);
}

function run(
  options: Record<string, boolean | string> = { typescript: false },
  host = client,
): Promise<{ error: string; bail: boolean }> {
  const info = new messages.ProgramInfo()
    .setRootDirectory("/root-of-it")
    .setProgramDirectory(directory)
    .setEntryPoint("index.ts");
  const structs = createRequire(require.resolve("@pulumi/pulumi/package.json"))(
    "google-protobuf/google/protobuf/struct_pb.js",
  );
  info.setOptions(structs.Struct.fromJavaScript(options));
  const request = new messages.RunRequest()
    .setProject("p")
    .setStack("s")
    .setMonitorAddress("127.0.0.1:1")
    .setDryrun(true)
    .setParallel(16)
    .setConfigsecretkeysList(["p:key"])
    .setInfo(info);
  request.getConfigMap().set("p:weights", '{"v116":50}');
  return new Promise((resolve, reject) => {
    host.run(request, (error, response) =>
      error === null ? resolve({ error: response.getError(), bail: response.getBail() }) : reject(error),
    );
  });
}

describe("the language host", () => {
  test("starts the SDK's runner with the engine's values", async () => {
    program(`
      const { PULUMI_CONFIG, PULUMI_CONFIG_SECRET_KEYS, PULUMI_NODEJS_TYPESCRIPT } = process.env;
      console.log(JSON.stringify({ argv: process.argv.slice(2), PULUMI_CONFIG, PULUMI_CONFIG_SECRET_KEYS, PULUMI_NODEJS_TYPESCRIPT }));
    `);
    expect(await run()).toEqual({ error: "", bail: false });
    await expect.poll(() => output).toMatch(/\n$/);
    expect(JSON.parse(output)).toEqual({
      argv: [
        ...["--monitor", "127.0.0.1:1", "--engine", "127.0.0.1:4711", "--project", "p"],
        ...["--root-directory", "/root-of-it", "--stack", "s", "--pwd", directory, "--parallel", "16"],
        "--dry-run",
        "index.ts",
      ],
      PULUMI_CONFIG: '{"p:weights":"{\\"v116\\":50}"}',
      PULUMI_CONFIG_SECRET_KEYS: '["p:key"]',
    });
  });

  test("refuses Pulumi's TypeScript loader and other options of the runtime", async () => {
    program("console.log('ran')");
    expect((await run({})).error).toMatch(/^not supported by the stand-in: Pulumi's own TypeScript loader;/);
    expect((await run({ typescript: false, packagemanager: "npm" })).error).toMatch(
      /^not supported by the stand-in: runtime option packagemanager;/,
    );
    expect((await run({ typescript: false, nodeargs: "--title 'a b'" })).error).toMatch(
      /^not supported by the stand-in: a quote in the runtime option nodeargs;/,
    );
    expect(output).toBe("");
  });

  test("hands Node its arguments", async () => {
    program("console.log(process.title, process.execArgv.join())");
    expect(await run({ typescript: false, nodeargs: "--title  lean --no-warnings" })).toEqual({
      error: "",
      bail: false,
    });
    await expect.poll(() => output).toBe("lean --title,lean,--no-warnings\n");
  });

  test("is silent about an error that the program has reported", async () => {
    program("process.exit(32)");
    expect(await run()).toEqual({ error: "", bail: true });
  });

  test("reports any other end", async () => {
    program("process.exit(5)");
    expect((await run()).error).toBe("Program exited with non-zero exit code: 5");
    program("process.kill(process.pid, 'SIGKILL')");
    expect((await run()).error).toMatch(/ended by SIGKILL/);
  });

  test("names the command that installs the SDK where it is missing", async () => {
    expect((await run()).error).toBe(
      `the package @pulumi/pulumi is not installed in ${directory}; run \`npm install\` there first`,
    );
  });

  test("passes an interrupt on to the program", async () => {
    program("process.on('SIGINT', () => process.exit(9)); console.log('up'); setInterval(() => {}, 1000)");
    const running = run();
    await expect.poll(() => output).toBe("up\n");
    await new Promise((resolve) => client.cancel(empty(), resolve));
    expect((await running).error).toBe("Program exited with non-zero exit code: 9");
  });

  test("kills the program when the engine was killed, and ends", async () => {
    const started = join(directory, "pid");
    program(`
      require("node:fs").writeFileSync(${JSON.stringify(started)}, String(process.pid));
      process.on("SIGINT", () => {});
      setInterval(() => {}, 1000);
    `);
    const { port, killEngine, pid } = await Plugin.startBelowEngine("languageNodejs.ts");
    const ofOrphan = new services.LanguageRuntimeClient(
      `127.0.0.1:${port}`,
      grpc.credentials.createInsecure(),
    );
    // The answer can be lost, because the host ends as soon as it has sent it.
    const running = run(undefined, ofOrphan).catch(() => undefined);
    await expect.poll(() => existsSync(started) && readFileSync(started, "utf8"), PATIENCE).toMatch(/\d/);
    const programPid = readFileSync(started, "utf8");
    await killEngine();
    for (const each of [programPid, pid])
      await expect.poll(() => existsSync(`/proc/${each}`), PATIENCE).toBe(false);
    await running;
    ofOrphan.close();
  });
});

/** Tests of embedded/plugins/command/local.ts. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Secret, UNKNOWN } from "../../../../../embedded/plugins/values.ts";
import { Plugin, urn } from "../../../../support/pluginHarness.ts";

const type = "command:local:Command";
const COMMAND = urn(type, "c");
const PATIENCE = { timeout: 20_000 };
let plugin: Plugin;

beforeAll(async () => {
  plugin = await Plugin.start("command/command.ts");
});
afterAll(async () => {
  expect(await plugin.stop()).toBe(0);
});

const update = (news: Record<string, never> | object, stdout = "old", preview = false) => ({
  id: "c1",
  news: news as Record<string, string>,
  olds: { ...news, stdout, stderr: "" } as Record<string, string>,
  oldInputs: {},
  preview,
});

describe("local.Command", () => {
  test("runs create through the shell with its input and environment, and keeps both outputs", async () => {
    const { id, outputs } = await plugin.create(COMMAND, {
      create: 'cat; echo "$GREETING" >&2',
      stdin: "from stdin\n",
      environment: { GREETING: "hello" },
    });
    expect(id).toMatch(/^c[0-9a-f]{8}$/);
    expect(outputs).toMatchObject({ stdout: "from stdin", stderr: "hello" });
  });

  test("without a create command does nothing", async () => {
    expect((await plugin.create(COMMAND, { delete: "false" })).outputs).toMatchObject({
      stdout: "",
      stderr: "",
    });
  });

  test("a failure names the status, the command and all that was printed", async () => {
    const create = plugin.create(COMMAND, { create: 'echo out; echo "went wrong" >&2; exit 3' });
    await expect(create).rejects.toThrow(
      'exit status 3: running "echo out; echo \\"went wrong\\" >&2; exit 3":\nout\nwent wrong\n',
    );
  });

  test("each line is shown while the command runs", async () => {
    const shown = urn(type, "shown");
    await plugin.create(shown, { create: "echo one; printf two" });
    const lines = plugin.log.filter((line) => line.urn === shown);
    expect(lines.map(({ text }) => text)).toEqual(["one", "two"]);
    expect(lines.every(({ ephemeral }) => ephemeral)).toBe(true);
  });

  test("update runs its command, or create where it has none", async () => {
    const now = "echo now";
    expect((await plugin.update(COMMAND, update({ create: "false", update: now }))).stdout).toBe("now");
    expect((await plugin.update(COMMAND, update({ create: now }))).stdout).toBe("now");
  });

  test("update without any command keeps the previous output", async () => {
    expect((await plugin.update(COMMAND, update({ delete: "true" }))).stdout).toBe("old");
  });

  test("delete runs with the inputs of the state, standard input too", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "local-")), "deleted");
    await plugin.delete(COMMAND, "c1", {
      delete: `cat > ${file}`,
      stdin: "in\n",
      stdout: new Secret("out"),
      stderr: "",
    });
    expect(readFileSync(file, "utf8")).toBe("in\n");
  });

  test("a preview runs nothing, and its outputs are unknown", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "local-")), "f");
    writeFileSync(file, "untouched");
    const inputs = { create: `echo touched > ${file}`, stdin: UNKNOWN };
    const { outputs } = await plugin.create(COMMAND, inputs, { preview: true });
    expect(outputs).toMatchObject({ stdout: UNKNOWN, stderr: UNKNOWN, stdin: UNKNOWN });
    expect(readFileSync(file, "utf8")).toBe("untouched");
    const changed = { ...update(inputs, "old", true), olds: { create: "before", stdout: "old", stderr: "" } };
    expect((await plugin.update(COMMAND, changed)).stdout).toBe(UNKNOWN);
  });

  test("the outputs are plain, also where inputs are secret", async () => {
    const { outputs } = await plugin.create(COMMAND, { create: "cat", stdin: new Secret("s3cret") });
    expect(outputs).toMatchObject({ stdout: "s3cret", stdin: new Secret("s3cret") });
  });

  test("any input changes in place", async () => {
    const diff = (oldInputs: object, news: object) =>
      plugin.diff(COMMAND, { id: "c1", olds: {}, oldInputs: oldInputs as never, news: news as never });
    expect(await diff({ create: "a" }, { create: "a" })).toMatchObject({ changed: false });
    expect(await diff({ create: "a" }, { create: "b", environment: { X: "1" } })).toMatchObject({
      changed: true,
      paths: ["create", "environment"],
      replaces: [],
    });
  });

  test("an unsupported input is refused before anything runs", async () => {
    const own = { create: "true", addPreviousOutputInEnv: false };
    expect((await plugin.check(COMMAND, own)).failures).toEqual([]);
    for (const property of ["assetPaths", "dir", "interpreter", "logging", "triggers"])
      expect((await plugin.check(COMMAND, { ...own, [property]: ["x"] })).failures).toEqual([
        expect.stringContaining(`${property}: not supported by the stand-in: ${property}; with the official`),
      ]);
    expect((await plugin.check(COMMAND, { create: "true" })).failures).toEqual([
      expect.stringMatching(/^addPreviousOutputInEnv: not supported by the stand-in/),
    ]);
    await expect(plugin.check(urn("command:remote:CopyToRemote", "c"), {})).rejects.toThrow(
      /not supported by the stand-in: resource type command:remote:CopyToRemote;/,
    );
  });

  test("refresh leaves the state as it is", async () => {
    const state = { create: "true", stdout: "x", stderr: "" };
    expect(await plugin.read(COMMAND, "c1", { create: "true" }, state)).toEqual({
      id: "c1",
      inputs: { create: "true" },
      outputs: state,
    });
  });
});

test("functions are refused by name", async () => {
  await expect(plugin.invoke("command:local:run", { command: "true" })).rejects.toThrow(
    /^not supported by the stand-in: function command:local:run;/,
  );
});

/** A command that starts another one, says so, and waits for it; the file gets what the other one writes. */
function starting(file: string): { create: string } {
  return {
    create:
      `trap 'echo heeded > ${file}' TERM; (read line < ${file}.go; echo "$line" > ${file}) & echo ` +
      "started; wait",
  };
}

test("an interrupt kills only the shell; its children run on, and are waited for", async () => {
  const interrupted = await Plugin.start("command/command.ts");
  const file = join(mkdtempSync(join(tmpdir(), "local-")), "end");
  execFileSync("mkfifo", [`${file}.go`]);
  let ended = false;
  const create = interrupted.create(urn(type, "long"), starting(file)).finally(() => {
    ended = true;
  });
  const failure = expect(create).rejects.toThrow(/^signal: killed: running/);
  await expect.poll(() => interrupted.log.map(({ text }) => text), PATIENCE).toContain("started");
  await interrupted.cancel();
  expect(ended).toBe(false);
  writeFileSync(`${file}.go`, "finished\n");
  await failure;
  expect(readFileSync(file, "utf8")).toBe("finished\n");
  expect(await interrupted.stop()).toBe(0);
});

test("a command outlives a killed engine, and the plugin ends with it", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "local-")), "end");
  execFileSync("mkfifo", [`${file}.go`]);
  const { plugin: orphan, killEngine, pid } = await Plugin.startBelowEngine("command/command.ts");
  const create = orphan.create(urn(type, "long"), starting(file));
  await expect.poll(() => orphan.log.map(({ text }) => text), PATIENCE).toContain("started");
  await killEngine();
  writeFileSync(`${file}.go`, "finished\n");
  // The answer can be lost, because the plugin ends as soon as it has sent it.
  await create.catch(() => {});
  expect(readFileSync(file, "utf8")).toBe("finished\n");
  await expect.poll(() => existsSync(`/proc/${pid}`), PATIENCE).toBe(false);
});

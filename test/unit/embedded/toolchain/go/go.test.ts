/** Tests of embedded/toolchain/go/go.ts. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { goBinaries } from "../../../../../embedded/toolchain/go/go.ts";
import { COREDNS } from "../../../../../embedded/toolchain/go/modules.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "istio-lab-go-"));
  vi.stubEnv("XDG_CACHE_HOME", join(home, "cache"));
  vi.stubEnv("PATH", `${home}:/usr/bin:/bin`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

/**
 * A stand-in for the go command: it logs its arguments; the build gets the directory as its second one.
 *
 * @param path below the test's directory
 */
const go = (build: string, { version = "go1.99.0", path = "go" } = {}) =>
  writeFile(
    join(home, path),
    `#!/bin/sh
echo "$*" >>${home}/log
case $1 in env) echo ${version} ;; list) printf 'a\\nb\\n' ;; build)
  until [ "$1" = -o ]; do shift; done
  ${build} ;;
esac
`,
    { mode: 0o755 },
  );

test("a module is built once, and the second call finds the build", async () => {
  await go("echo a >&2; echo b >&2; : >$2/tool");
  const lines: string[] = [];
  const built = await goBinaries(COREDNS, (line) => lines.push(line));
  expect(await readFile(join(built, "tool"), "utf8")).toBe("");
  expect(lines).toEqual(["downloading modules", "1 of at most 2 packages", "2 of at most 2 packages"]);
  expect(await goBinaries(COREDNS, () => undefined)).toBe(built);
  expect((await readFile(join(home, "log"), "utf8")).match(/^build/gm)).toHaveLength(1);
});

test("a build that fails names the module and ends with the compiler's last lines", async () => {
  await go("echo main.go:3: undefined: x >&2; exit 1");
  await expect(goBinaries(COREDNS, () => undefined)).rejects.toThrow(
    /^go build in \S+\/go\/coredns failed:\nmain\.go:3: undefined: x$/,
  );
});

test("a Go that is too old does not build: the pinned one is installed and does", async () => {
  await go("exit 1", { version: "go1.19.8" });
  await go(": >$2/tool", { path: "newer" });
  const pip = `#!/bin/sh
until [ "$1" = --target ]; do shift; done
mkdir -p "$2/go/bin" && mv ${home}/newer "$2/go/bin/go"
`;
  await writeFile(join(home, "python3"), pip, { mode: 0o755 });
  expect(await readFile(join(await goBinaries(COREDNS, () => undefined), "tool"), "utf8")).toBe("");
});

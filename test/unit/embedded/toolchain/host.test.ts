import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";

const SCRIPT = join(import.meta.dirname, "../../../../embedded/toolchain/host.sh");

let bin: string;
beforeEach(async () => {
  bin = await mkdtemp(join(tmpdir(), "istio-lab-host-"));
  // A host that has everything; each test takes something away.
  for (const tool of ["cat", "dirname", "readlink"]) await tie(tool);
  await answer("uname", "case $1 in -s) echo Linux ;; -m) echo x86_64 ;; esac");
  await answer("id", "echo 0");
  await answer("go", "echo go1.26.8");
  for (const tool of [
    "debootstrap",
    "systemd-nspawn",
    "ip",
    "nsenter",
    "unshare",
    "flock",
    "openssl",
    "ssh",
    "ssh-keygen",
  ]) {
    await answer(tool, "exit 0");
  }
  for (const tool of ["python3", "apt-get"]) await answer(tool, "exit 0");
});
afterEach(() => rm(bin, { recursive: true }));

test("a host that has everything is ready, without a word", async () => {
  expect(await check()).toEqual({ exitCode: 0, said: "" });
});

test("everything that is wrong is in one list, with the way on a cluster of one's own", async () => {
  await answer("uname", "case $1 in -s) echo Darwin ;; -m) echo arm64 ;; esac");
  await answer("id", "echo 501");
  await answer("go", "echo go1.24.1");
  await rm(join(bin, "apt-get"));
  await rm(join(bin, "debootstrap"));
  const { exitCode, said } = await check();
  expect(exitCode).toBe(1);
  for (const words of [
    "Linux: this is Darwin",
    "this is arm64",
    "root, ",
    "is go1.24.1",
    "without apt: debootstrap",
    "Your own cluster",
  ]) {
    expect(said).toContain(words);
  }
});

test("packages that are missing are named before they are installed", async () => {
  await rm(join(bin, "debootstrap"));
  await rm(join(bin, "systemd-nspawn"));
  await answer("apt-get", 'echo "apt-get $*"');
  const { exitCode, said } = await check();
  expect(exitCode).toBe(0);
  expect(said).toContain("Debian packages: debootstrap systemd-container");
  expect(said.indexOf("will install")).toBeLessThan(said.indexOf("apt-get install"));
  expect(said).toMatch(/apt-get install .* debootstrap systemd-container/);
});

test("no Go at all is told with the place to get it", async () => {
  await rm(join(bin, "go"));
  await mkdir(join(bin, "cache", "bin", "kubernetes-0"), { recursive: true });
  expect((await check()).said).toContain("https://go.dev/doc/install");
});

test("Go is not asked for where everything is built already", async () => {
  await rm(join(bin, "go"));
  for (const name of ["kubernetes", "istio", "coredns", "pulumi"])
    await mkdir(join(bin, "cache", "bin", `${name}-0`), { recursive: true });
  expect(await check()).toEqual({ exitCode: 0, said: "" });
});

test("Node is brought where the launcher found none, and named before", async () => {
  for (const tool of ["rm", "mkdir", "ln", "chmod", "mv"]) await tie(tool);
  await answer("python3", 'echo "python3 $*"; [ "$3" = --version ]');
  const { said } = await check(join(bin, "node-dir"));
  expect(said).toContain(`Node 24 into ${join(bin, "node-dir")}`);
  expect(said.indexOf("will install")).toBeLessThan(said.indexOf("python3 -m pip install"));
});

async function check(nodeDir = "") {
  const result = await execa("/bin/sh", [SCRIPT, join(bin, "cache"), nodeDir], {
    env: { PATH: bin },
    extendEnv: false,
    reject: false,
    all: true,
  });
  return { exitCode: result.exitCode, said: result.all };
}

/** A program of the stand-in host. */
async function answer(name: string, script: string): Promise<void> {
  await rm(join(bin, name), { force: true });
  await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, name), 0o755);
}

async function tie(name: string): Promise<void> {
  const { stdout } = await execa("which", [name]);
  await symlink(stdout, join(bin, name));
}

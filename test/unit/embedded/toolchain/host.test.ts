/** Tests of embedded/toolchain/host.sh. */
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const SCRIPT = join(import.meta.dirname, "../../../../embedded/toolchain/host.sh");
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

let bin: string;
beforeEach(async () => {
  bin = await mkdtemp(join(tmpdir(), "istio-lab-host-"));
  // A host that has everything. Each test removes something.
  for (const tool of ["cat", "dirname", "readlink", "mktemp", "rm", "mkdir", "rmdir", "stat"])
    await tie(tool);
  await answer("uname", "case $1 in -s) echo Linux ;; -m) echo x86_64 ;; esac");
  await answer("id", "echo 0");
  await answer("go", "echo go1.26.8");
  for (const tool of [
    ...["debootstrap", "gpgv", "systemd-nspawn", "ip", "nsenter", "unshare", "flock", "openssl", "ssh"],
    ...["ssh-keygen", "python3", "apt-get"],
  ]) {
    await answer(tool, "exit 0");
  }
});
afterEach(() => rm(bin, { recursive: true }));

test("a complete host is ready, without output, and nothing of a trial stays", async () => {
  const before = await readdir(bin);
  expect(await check()).toEqual({ exitCode: 0, said: await keyringWords() });
  expect(await readdir(bin)).toEqual(before);
});

describe("faults", () => {
  test("are all in one list, with the way on a cluster of one's own", async () => {
    await answer("uname", "case $1 in -s) echo Darwin ;; -m) echo arm64 ;; esac");
    await answer("id", "echo 501");
    await rm(join(bin, "apt-get"));
    await rm(join(bin, "debootstrap"));
    const { exitCode, said } = await check();
    expect(exitCode).toBe(1);
    for (const words of [
      "Linux: this is Darwin",
      "this is arm64",
      "root, ",
      "without apt: debootstrap",
      "Your own cluster",
    ]) {
      expect(said).toContain(words);
    }
  });

  test("a container: namespaces are refused, with the ways out", async () => {
    await answer("unshare", "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1");
    const { exitCode, said } = await check();
    expect(exitCode).toBe(1);
    expect(said).toContain('namespaces and mounts: "unshare: unshare failed: Operation not permitted"');
    expect(said).toContain("--privileged");
    expect(said).toContain("unshare-userns-restrict");
  });

  test("a file system that carries no overlay: it is named, and XDG_STATE_HOME is the way out", async () => {
    await answer("unshare", "case $* in *overlay*) echo 'mount: wrong fs type' >&2; exit 32 ;; esac");
    const { exitCode, said } = await check();
    expect(exitCode).toBe(1);
    expect(said).toMatch(/overlay mounts below \S+\/state \(file system: \S+\): "mount: wrong fs type"/);
    expect(said).toContain("Set XDG_STATE_HOME to a directory on ext4, xfs, btrfs or tmpfs");
  });

  test("cgroups that cannot be made are one too", async () => {
    await answer(
      "mkdir",
      "case $* in */istio-lab-trial*) echo 'mkdir: Read-only file system'; exit 1 ;; esac",
    );
    const { exitCode, said } = await check();
    expect(exitCode).toBe(1);
    expect(said).toContain('cgroups of its own: "mkdir: Read-only file system"');
  });

  test.runIf(process.getuid?.() === 0)(
    "(needs root) the trials themselves: a state directory on an overlay is refused, a plain one is not",
    async () => {
      const { PATH } = process.env;
      const script = `mount -t tmpfs tmpfs ${bin} && cd ${bin} && mkdir l u w merged &&
        mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w merged &&
        { sh ${SCRIPT} ${bin}/cache ${bin}/merged/state ''; sh ${SCRIPT} ${bin}/cache ${bin}/state '' || echo plain; }`;
      const { all, exitCode } = await execa(
        "unshare",
        ["--mount", "--propagation", "private", "sh", "-c", script],
        { env: { PATH }, all: true, reject: false },
      );
      expect(all).toMatch(/overlay mounts below \S+merged\/state \(file system: overlayfs\)/);
      expect(all).not.toContain("plain");
      expect(exitCode).toBe(0);
    },
  );
});

describe("what is installed", () => {
  test("packages and their dependencies are named before they are installed; none of them starts a service", async () => {
    await rm(join(bin, "debootstrap"));
    await rm(join(bin, "systemd-nspawn"));
    await answer(
      "apt-get",
      `case $* in *--simulate*) printf 'Inst debootstrap (1)\\nInst systemd (2)\\nConf systemd (2)\\n' ;;
       *) echo "apt-get $* SYSTEMD_OFFLINE=$SYSTEMD_OFFLINE NEEDRESTART_SUSPEND=$NEEDRESTART_SUSPEND" ;; esac`,
    );
    const { exitCode, said } = await check();
    expect(exitCode).toBe(0);
    expect(said).toContain("Debian packages: debootstrap");
    expect(said).toContain("with what they depend on:  debootstrap systemd\n");
    expect(said.indexOf("will install")).toBeLessThan(said.indexOf("apt-get install"));
    expect(said.indexOf("with what")).toBeLessThan(said.indexOf("apt-get install"));
    expect(said).toMatch(
      /apt-get install .* debootstrap .*systemd-container SYSTEMD_OFFLINE=1 NEEDRESTART_SUSPEND=1/,
    );
  });

  test.each([
    ["no Go at all", undefined],
    ["an old Go", "echo go1.24.1"],
  ])("%s: the Go that may be brought is named", async (_, go) => {
    if (go) await answer("go", go);
    else await rm(join(bin, "go"));
    await mkdir(join(bin, "cache", "bin", "kubernetes-0"), { recursive: true });
    const { exitCode, said } = await check();
    expect(exitCode).toBe(0);
    expect(said).toContain(`Go 1.26 into ${join(bin, "cache/bin")}, if something has to be built`);
  });

  test("Go is not named where everything is built already", async () => {
    await rm(join(bin, "go"));
    for (const name of ["kubernetes", "istio", "coredns", "pulumi"])
      await mkdir(join(bin, "cache", "bin", `${name}-0`), { recursive: true });
    expect((await check()).said).not.toContain("Go 1.26");
  });

  test("Node is brought where the launcher found none, and named before; pip 22.0 knows every option", async () => {
    for (const tool of ["ln", "chmod", "mv"]) await tie(tool);
    // pip 22.0.2, of Ubuntu 22.04.
    await answer(
      "python3",
      `case $* in *--root-user-action*) echo "no such option: --root-user-action" >&2; exit 2 ;; esac
       echo "python3 $* PIP_ROOT_USER_ACTION=$PIP_ROOT_USER_ACTION"
       while [ $# -gt 0 ]; do [ "$1" != --target ] || mkdir -p "$2"; shift; done`,
    );
    const { said, exitCode } = await check(join(bin, "node-dir"));
    expect(exitCode).toBe(0);
    expect(said).toContain(`Node 24 into ${join(bin, "node-dir")}`);
    expect(said.indexOf("will install")).toBeLessThan(said.indexOf("python3 -m pip install"));
    expect(said).toContain("PIP_ROOT_USER_ACTION=ignore");
  });
});

async function check(nodeDir = "") {
  const result = await execa("/bin/sh", [SCRIPT, join(bin, "cache"), join(bin, "state"), nodeDir], {
    env: { PATH: bin },
    extendEnv: false,
    reject: false,
    all: true,
  });
  return { exitCode: result.exitCode, said: result.all };
}

/** The keyring is a file of the host, which a test cannot remove. */
async function keyringWords(): Promise<string> {
  const { failed } = await execa("test", ["-e", KEYRING], { reject: false });
  return failed ? "lab: will install\n  - Debian packages: debian-archive-keyring" : "";
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

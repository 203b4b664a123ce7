// Kinds of users of the load balancer: each login shell, a banner, no login shell, no sudo.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { SSH_USER } from "../../embedded/machines/loadBalancer.ts";
import { initPid } from "../../embedded/machines/machine.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";
import { trial } from "../support/e2e/trial.ts";

const site = new EdgeSite("edge-users");
beforeAll(async () => {
  await site.start();
  await installPackages("zsh", "zsh-common", "fish", "fish-common", "libpcre2-32-0", "tcsh", "ksh93u+m");
});
afterAll(() => site.stop());

describe("a user of the load balancer", () => {
  for (const [shell, rc] of [
    ["/bin/bash", ".bashrc"],
    ["/bin/zsh", ".zshenv"],
    ["/bin/ksh93", ".profile"],
    ["/usr/bin/fish", ".config/fish/config.fish"],
    ["/bin/tcsh", ".cshrc"],
  ] as const)
    trial(`with the login shell ${shell}, which prints a banner: look, push and restore work`, async () => {
      const user = await makeUser(shell);
      await site.inside(`
      cd /home/${user}; mkdir -p $(dirname ${rc}); printf '%s\\n' "echo Welcome to this machine" "echo fault none" >${rc}
      chown -R ${user}: .`);
      expect((await site.ssh("echo -n ''")).stdout).toContain(
        rc === ".profile" ? "" : "Welcome to this machine",
      );
      expect(await site.look()).toEqual({ faults: [], edits: [] });
      expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0, stderr: "" });
      await site.serves("a");
      await site.inside(`sed -i 's/retries 5/retries 9/' ${site.file}`);
      expect((await site.look()).edits).toHaveLength(1);
      expect(await site.restore()).toMatchObject({ exitCode: 0, stderr: "" });
      expect(await site.inside(`cat ${site.file}; rm ${site.file}.by-hand-*`)).toBe(site.original);
    });

  for (const shell of ["/usr/sbin/nologin", "/bin/false"])
    trial(`with ${shell}: a fault that names it and the way out`, async () => {
      const user = await makeUser(shell);
      const [fault = "", ...more] = (await site.look()).faults;
      expect(more).toEqual([]);
      expect(fault).toMatch(
        new RegExp(`^load balancer ${user}@\\S+: the look before the push ended with status 1: `),
      );
      expect(fault).toContain(
        `does ${user} have a login shell that runs commands? (chsh -s /bin/sh ${user})`,
      );
    });
});

let users = 0;

/** Makes a user with `sudo -n` and the lab's key. From then on the site is used as this user. */
async function makeUser(shell: string): Promise<string> {
  const user = `user${users++}`;
  await site.inside(`
    useradd --create-home --shell ${shell} ${user}; cp -r /home/${SSH_USER}/.ssh /home/${user}/
    chown -R ${user}: /home/${user}; echo '${user} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/${user}`);
  site.machine.user = user;
  return user;
}

/** Unpacks Debian packages into the machine, which reaches no mirror itself. */
async function installPackages(...names: string[]): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "istio-lab-packages-"));
  try {
    await execa("apt-get", ["download", ...names], { cwd: directory });
    const pid = await initPid(site.lab.loadBalancer);
    for (const file of await readdir(directory)) {
      const { stdout } = await execa("dpkg-deb", ["--fsys-tarfile", join(directory, file)], {
        encoding: "buffer",
        maxBuffer: 100_000_000,
      });
      const unpack = ["tar", "-x", "--keep-directory-symlink", "-C", "/"];
      await execa("nsenter", [`--target=${pid}`, "--mount", ...unpack], { input: stdout });
    }
  } finally {
    await rm(directory, { recursive: true });
  }
}

// Kinds of users of the load balancer: names, login shells and start-up files, sudo and sshd as they are set
// up.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { openSession } from "../../components/haproxyEdge/machine.ts";
import { SSH_USER, sshTarget } from "../../embedded/machines/loadBalancer.ts";
import { initPid } from "../../embedded/machines/machine.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";
import { trial } from "../support/e2e/trial.ts";

const site = new EdgeSite("edge-users");
beforeAll(async () => {
  await site.start();
  await site.inside(`
    printf '%s\\n' 'Match User only-sftp' 'ForceCommand internal-sftp' 'Match User only-echo' 'ForceCommand echo no' \\
      'Match User one-session' 'MaxSessions 1' 'Match User no-session' 'MaxSessions 0' >/etc/ssh/sshd_config.d/test.conf
    systemctl restart ssh`);
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
    ["/bin/rbash", ".bashrc"],
  ] as const)
    trial(`with the login shell ${shell}, which prints a banner: look, push and restore work`, async () => {
      const user = await makeUser(shell);
      await site.inside(`
      cd /home/${user}; mkdir -p $(dirname ${rc}); printf '%s\\n' "echo Welcome to this machine" "echo fault none" "printf title" >${rc}
      chown -R ${user}: .`);
      expect((await site.ssh("echo -n ''")).stdout).toContain(
        rc === ".profile" ? "" : "Welcome to this machine",
      );
      await looksPushesAndRestores();
    });

  for (const [kind, name] of [
    ["the name root, without sudo", "root"],
    ["a name of a directory service", "First.Last_1@corp.example"],
  ] as const)
    trial(`with ${kind}: look, push and restore work`, async () => {
      await makeUser("/bin/bash", name);
      if (name === "root") await site.inside("mv /usr/bin/sudo /usr/bin/sudo.away");
      await looksPushesAndRestores();
      if (name === "root") await site.inside("mv /usr/bin/sudo.away /usr/bin/sudo");
    });

  for (const shell of ["/usr/sbin/nologin", "/bin/false"])
    trial(`with ${shell}: a fault that names it and the way out`, async () => {
      await makeUser(shell);
      await isRefused(/^the look before the push ended with status 1: .*; does USER have a login shell/);
    });

  for (const line of ["exit", "exec /bin/zsh", "exec /usr/bin/fish"])
    trial(`whose .bashrc has the line ${line}: a fault, and a push does nothing`, async () => {
      const user = await makeUser("/bin/bash");
      await site.inside(`echo '${line}' >/home/${user}/.bashrc`);
      await isRefused(/^the look before the push ended .* start-up file \(\.bashrc\) end or replace/);
    });

  for (const user of ["only-sftp", "only-echo"])
    trial(`whose commands sshd replaces (${user}): a fault, and a push does nothing`, async () => {
      await makeUser("/bin/bash", user);
      await isRefused(/^the look before the push ended with status .* another command \(ForceCommand\)\?$/);
    });

  for (const [kind, change, fault] of [
    ["password has expired", "chage -d 0 USER", /^the look before the push .*password that has not expired/],
    ["account has expired", "chage -E 1 USER", /^ends the connection while USER logs on .*chage -l USER/],
    ["home directory others can change", "chmod 777 /home/USER", /^does not accept .*chmod go-w ~/],
  ] as const)
    trial(`whose ${kind}: a fault that says so, and a push does nothing`, async () => {
      const user = await makeUser("/bin/bash");
      await site.inside(change.replaceAll("USER", user));
      await isRefused(fault);
    });

  trial("with one session a connection: works; with none: a fault", async () => {
    const user = await makeUser("/bin/bash", "one-session");
    const { privateKey = "", ...target } = await sshTarget(site.lab);
    const session = openSession({ ...site.machine, ...target, privateKey, user });
    const signal = AbortSignal.timeout(20_000);
    for (const word of ["one", "two", "three"])
      expect((await session.run(`echo ${word}`, { input: "", signal })).stdout).toBe(`${word}\n`);
    session.close();
    await looksPushesAndRestores();
    await makeUser("/bin/bash", "no-session");
    await isRefused(/^accepts USER, and runs no command \(.*\): let its sshd do so/);
  });

  trial("whose sudo logs and keeps a terminal of its own, and finds few programs: works", async () => {
    const user = await makeUser("/bin/bash");
    await sudoers(
      user,
      `Defaults:${user} runas_default=haproxy, use_pty, log_output, log_input, secure_path=/usr/bin`,
      true,
    );
    await looksPushesAndRestores();
  });

  for (const [kind, line, fault] of [
    [
      "wants a terminal",
      "Defaults:USER requiretty",
      /may not run sudo without a terminal on .*!requiretty" and/,
    ],
    [
      "wants a password",
      "USER ALL=(ALL) ALL",
      /may not run sudo without a password on \S+: put "[^"]*" into \S+ there$/,
    ],
    [
      "permits one program",
      "USER ALL=(ALL) NOPASSWD: /bin/ls",
      /sudo prints: .*not allowed|without a password/,
    ],
    [
      "lets a program start no other",
      "Defaults:USER noexec",
      /by sudo, and that one no other .*!noexec" and/,
    ],
    ["permits nothing", "", /may not run sudo without a password/],
  ] as const)
    trial(`whose sudo ${kind}: a fault, and a push does nothing`, async () => {
      const user = await makeUser("/bin/bash");
      await sudoers(user, line.replaceAll("USER", user), /terminal|start/.test(kind));
      await isRefused(fault);
    });
});

/** Everything that an update and a destroy do there. */
async function looksPushesAndRestores(): Promise<void> {
  expect(await site.look()).toEqual({ faults: [], edits: [] });
  expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0, stderr: "" });
  await site.serves("a");
  await site.inside(`sed -i 's/retries 5/retries 9/' ${site.file}`);
  expect((await site.look()).edits).toHaveLength(1);
  expect(await site.restore()).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await site.inside(`cat ${site.file}; rm ${site.file}.by-hand-*`)).toBe(site.original);
}

/** Expects one fault at preview, and a push and a restore that change nothing. `USER` is the user's name. */
async function isRefused(fault: RegExp): Promise<void> {
  const { user, host } = site.machine;
  const [found = "", ...more] = (await site.look()).faults;
  expect(more).toEqual([]);
  const where = `load balancer ${user}@${host}:22`;
  expect(found.slice(0, where.length)).toBe(where);
  expect(found.slice(where.length).replace(/^:? /, "").replaceAll(user, "USER")).toMatch(fault);
  const files = () => site.inside(`ls -A /etc/haproxy; cat ${site.file}`);
  const before = await files();
  await Promise.all([site.push(site.config("b")), site.restore()]);
  expect(await files()).toBe(before);
}

/** What the user may do with sudo. */
async function sudoers(user: string, line: string, everything = false): Promise<void> {
  const all = `${user} ALL=(ALL) NOPASSWD: ALL`;
  await site.inside(`printf '%s\\n' '${line}' '${everything ? all : ""}' >/etc/sudoers.d/${user}`);
}

let users = 0;

/** Makes a user with `sudo -n` and the lab's key. From then on the site is used as this user. */
async function makeUser(shell: string, user = `user${users++}`): Promise<string> {
  // sudo reads no file whose name has a dot, and in it `@` needs a backslash.
  await site.inside(`
    [ ${user} = root ] || useradd --badname --create-home --shell ${shell} ${user}
    home=$(getent passwd ${user} | cut -d : -f 6); cp -r /home/${SSH_USER}/.ssh $home/; chown -R ${user}: $home/.ssh
    echo '${user.replace("@", "\\@")} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/$(echo ${user} | tr . _)`);
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

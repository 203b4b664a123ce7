/** Boots the load-balancer machine, starts its units, shuts it down. */
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { type HostKey, parseHostKey } from "../../clients/hostKey.ts";
import { type Ended, LabError, launch, run, until } from "../../clients/process.ts";
import type { SshTarget } from "../../clients/ssh.ts";
import type { Instance } from "../host/instance.ts";
import { patience } from "../host/patience.ts";
import { removeCgroup } from "./cgroups.ts";
import { endOfLog } from "./daemons.ts";
import { initPid, powerOff, runningPid, spawnDetached } from "./machine.ts";

/** The ordinary user of the load-balancer machine, with `sudo -n` for everything. */
export const SSH_USER = "lab";

/** The user's private key. */
export function sshKeyFile(lab: Instance): string {
  return join(lab.dir, "ssh", "id_ed25519");
}

/** A known_hosts file that holds the machine's host key. */
export function knownHostsFile(lab: Instance): string {
  return join(lab.dir, "ssh", "known_hosts");
}

/** The machine's public host key. */
export async function hostKey(lab: Instance): Promise<HostKey> {
  const file = join(lab.dir, "ssh", "host_ed25519.pub");
  const key = parseHostKey(await readFile(file, "utf8"));
  if (!key) throw new LabError(`${file} holds no public host key`);
  return key;
}

/** How its user logs on. */
export async function sshTarget(lab: Instance): Promise<SshTarget> {
  return {
    host: lab.loadBalancer.address,
    port: 22,
    user: SSH_USER,
    hostKey: await hostKey(lab),
    privateKey: await readFile(sshKeyFile(lab), "utf8"),
  };
}

/** The machine's services, by their systemd units. */
const UNITS = ["ssh", "haproxy"];

/** Units of the running machine that are not active, with the state that systemd reports. */
export async function deadUnits(lab: Instance): Promise<{ unit: string; state: string }[]> {
  const { all } = await systemctl(lab, "is-active", ...UNITS);
  const states = all.trim().split("\n");
  return UNITS.map((unit, index) => ({ unit, state: states[index] ?? all })).filter(
    ({ state }) => state !== "active",
  );
}

/**
 * Boots the load balancer. Where it runs, starts its units that have ended. Its disk outlives a power-off,
 * until the lab is taken down.
 */
export async function startLoadBalancer(lab: Instance, root: string): Promise<void> {
  const machine = lab.loadBalancer;
  if (await runningPid(machine)) {
    // The exit code does not count. Where HAProxy refuses its haproxy.cfg, the program's next push repairs
    // the file.
    await systemctl(lab, "start", ...UNITS);
    return;
  }
  await makeKeys(lab);
  await spawnDetached(machine, [
    ...["unshare", "--mount", "--propagation", "private"],
    ...[join(import.meta.dirname, "load-balancer.sh"), root, machine.dir, machine.name, machine.netns],
  ]);
}

/** Resolves when sshd answers. */
export async function loadBalancerReady(lab: Instance): Promise<void> {
  await until(`sshd on ${lab.loadBalancer.address}:22`, () => greets(lab.loadBalancer.address, 22), {
    timeoutMs: patience(60) * 1000,
    hint: () => endOfLog(lab.loadBalancer.dir, "console"),
  });
}

/** Shuts the machine down in order. After 10 s its processes are killed. */
export async function stopLoadBalancer(lab: Instance): Promise<void> {
  const init = await initPid(lab.loadBalancer);
  // systemd reads this real-time signal as "power off now" (systemd(1), SIGRTMIN+4).
  if (init) await run("kill", ["-s", "RTMIN+4", String(init)]).catch(() => undefined);
  const off = async () => (await runningPid(lab.loadBalancer)) === undefined;
  await until("power-off", off, { timeoutMs: 10_000 }).catch(() => undefined);
  // When nspawn was killed, the machine's systemd runs on without it.
  await removeCgroup(lab.loadBalancer.cgroup);
  await powerOff(lab.loadBalancer);
}

/** Runs systemctl in the machine; does not throw when it fails. */
async function systemctl(lab: Instance, ...args: string[]): Promise<Ended> {
  const init = await initPid(lab.loadBalancer);
  return launch("nsenter", ["--target", String(init), "--all", "systemctl", ...args], { all: true });
}

/** Makes the machine's host key and its user's key, once, and the files that carry them into the machine. */
export async function makeKeys(lab: Instance): Promise<void> {
  const ssh = join(lab.dir, "ssh");
  const files = join(lab.loadBalancer.dir, "files");
  if (existsSync(files)) return;
  await mkdir(ssh, { recursive: true, mode: 0o700 });
  const keygen = (file: string, comment: string) =>
    run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", join(ssh, file)]);
  if (!existsSync(sshKeyFile(lab))) await keygen("id_ed25519", `istio-lab ${lab.name}`);
  if (!existsSync(join(ssh, "host_ed25519"))) await keygen("host_ed25519", lab.loadBalancer.name);
  await writeFile(knownHostsFile(lab), `${lab.loadBalancer.address} ${(await hostKey(lab)).text}\n`);

  const staged = `${files}.partial`;
  const home = join(staged, "home", SSH_USER, ".ssh");
  await mkdir(home, { recursive: true });
  await chmod(home, 0o700);
  await cp(`${sshKeyFile(lab)}.pub`, join(home, "authorized_keys"));
  await mkdir(join(staged, "etc/ssh"), { recursive: true });
  await cp(join(ssh, "host_ed25519"), join(staged, "etc/ssh/ssh_host_ed25519_key"));
  await cp(join(ssh, "host_ed25519.pub"), join(staged, "etc/ssh/ssh_host_ed25519_key.pub"));
  await mkdir(join(staged, "etc/sudoers.d"), { recursive: true });
  await writeFile(join(staged, "etc/sudoers.d", SSH_USER), `${SSH_USER} ALL=(ALL) NOPASSWD: ALL\n`, {
    mode: 0o440,
  });
  await run("mv", [staged, files]);
}

async function greets(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("data", () => end(true));
    socket.once("error", () => end(false));
    socket.once("timeout", () => end(false));
  });
}

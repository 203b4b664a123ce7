/**
 * The settings of the host that a lab must not change: kernel settings, packet filters, systemd's units. Also
 * the modules that it loads.
 */
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { cacheHome } from "../../../embedded/host/instance.ts";

/** Settings of the host, one a line, such as `kernel.panic = 0`. */
export interface HostSettings {
  readonly sysctls: readonly string[];
  readonly firewall: readonly string[];
  readonly units: readonly string[];
  /** Kernel modules. The kernel loads them on demand, and keeps them. */
  readonly modules: readonly string[];
}

/** Counters and random numbers, which change by themselves. */
const COUNTERS = [
  /^fs\.(dentry-state|file-nr|inode-nr|inode-state|aio-nr|quota\.)/,
  /^kernel\.(ns_last_pid|random\.|pty\.nr|tainted|threads-max)/,
  /^net\.netfilter\.nf_conntrack_(count|buckets)/,
  /^vm\.stat/,
];

/**
 * Units that come and go with logins and timers, and the mount unit of the first `ip netns add` on a host.
 */
const PASSING = [
  /^(session-|user@|user-runtime-dir@|run-user-|run-netns\.mount)/,
  /^(apt-daily|dpkg-db-backup|man-db|e2scrub|fstrim|logrotate)/,
];

export async function hostSettings(): Promise<HostSettings> {
  const [sysctls, firewall, units, modules] = await Promise.all([
    lines("sysctl", "--all"),
    packetFilter(),
    unitsOfSystemd(),
    readFile("/proc/modules", "utf8").catch(() => ""),
  ]);
  return {
    sysctls: sysctls.filter((line) => !COUNTERS.some((counter) => counter.test(line))),
    firewall,
    units,
    modules: modules
      .split("\n")
      .map((line) => line.split(" ")[0] ?? "")
      .filter(Boolean),
  };
}

/**
 * The differences: settings with another value, added and removed rules and units. A new setting belongs to a
 * link or a module, which have checks of their own.
 */
export function changes(before: HostSettings, now: HostSettings): string[] {
  const values = settings(before.sysctls);
  const changed = [...settings(now.sysctls)]
    .filter(([key, value]) => values.has(key) && values.get(key) !== value)
    .map(([key, value]) => `setting: ${key} was ${values.get(key)}, is ${value}`);
  return [
    ...changed,
    ...difference("packet filter", before.firewall, now.firewall),
    ...difference("unit", before.units, now.units),
  ];
}

/** Modules that were loaded in between. */
export function loaded(before: HostSettings, now: HostSettings): string[] {
  return now.modules.filter((module) => !before.modules.includes(module));
}

/** A setting of several lines, such as kernel.core_modes, is listed once for each line. */
function settings(lines: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of lines) {
    const [key = "", ...rest] = line.split(" = ");
    const [name, value] = [key.trim(), rest.join(" = ")];
    values.set(name, values.has(name) ? `${values.get(name)}, ${value}` : value);
  }
  return values;
}

function difference(kind: string, before: readonly string[], now: readonly string[]): string[] {
  return [
    ...now.filter((line) => !before.includes(line)).map((line) => `${kind}: new: ${line}`),
    ...before.filter((line) => !now.includes(line)).map((line) => `${kind}: gone: ${line}`),
  ];
}

/**
 * Rules without their counters, from the host's own programs, or else from those of a node's root file
 * system.
 */
async function packetFilter(): Promise<string[]> {
  const commands = [["nft", "list", "ruleset"], ["iptables-save"], ["ip6tables-save"]];
  const all = await Promise.all(
    commands.map(([command = "", ...args]) => lines(...inRoot(command), ...args)),
  );
  return all
    .flat()
    .map(withoutCounters)
    .filter((line) => !line.startsWith("#"));
}

/** Runs iptables(8) on the host. */
export async function iptables(...args: string[]): Promise<string> {
  const [command, ...first] = inRoot("iptables");
  return (await execa(command, [...first, "--wait", ...args])).stdout;
}

function withoutCounters(line: string): string {
  return line
    .replace(/\[\d+:\d+\]/, "")
    .replace(/packets \d+ bytes \d+/, "")
    .trim();
}

function inRoot(command: string): [string, ...string[]] {
  const roots = join(cacheHome(), "roots");
  const own = ["/usr/sbin", "/sbin"].some((dir) => existsSync(join(dir, command)));
  const node = existsSync(roots) ? readdirSync(roots).find((name) => name.startsWith("node-")) : undefined;
  return own || !node ? [command] : ["chroot", join(roots, node, "root"), command];
}

async function unitsOfSystemd(): Promise<string[]> {
  if (!existsSync("/run/systemd/system")) return [];
  const units = await lines("systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager");
  return units
    .map((line) => line.trim().split(" ")[0] ?? "")
    .filter((unit) => !PASSING.some((passing) => passing.test(unit)) && !unit.endsWith(".device"));
}

async function lines(command: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await execa(command, args, { reject: false });
  return String(stdout ?? "")
    .split("\n")
    .filter(Boolean);
}

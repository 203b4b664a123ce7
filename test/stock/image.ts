/** Makes the disk of the stock machine: a system, this checkout with its packages, Node, the cache. */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../clients/process.ts";
import { cacheHome } from "../../embedded/host/instance.ts";
import { PROGRAM } from "../../embedded/lab/stack.ts";
import { type System, stockRoot } from "./systems.ts";

/** Place of the checkout in the machine. It is not /tmp, which Debian empties at boot. */
const CHECKOUT = "/opt/istio-lab";

/** Starts the check when the machine has booted, and powers it off when that has ended. */
const UNIT = `[Unit]
Description=The embedded lab on this machine
After=multi-user.target
SuccessAction=poweroff
FailureAction=poweroff

[Service]
Type=oneshot
Environment=HOME=/root
WorkingDirectory=${CHECKOUT}
ExecStart=/usr/local/bin/node --no-warnings ${CHECKOUT}/test/stock/guest.ts
StandardOutput=file:/dev/ttyS0
StandardError=inherit
`;

export interface StockImage {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

/** What the cache has for builds, for tests and for Prometheus and Zipkin. The machine needs none of it. */
const LEFT_OUT = [
  ...["go-*", "node-compile-cache", "test", "official"],
  ...["*monitoring*", "prometheus-*", "zipkin-*"].map((name) => `*/${name}`),
  ...["stock-*", "ubuntu-*", "container-host-*", "load-balancer-trixie*"].map((name) => `roots/${name}`),
];

/**
 * Makes the disk in a directory: 10 GB, of which about a third is used. Everything that `up` needs has to be
 * in the cache: the machine has no network.
 */
export async function makeImage(dir: string, system: System): Promise<StockImage> {
  const root = await stockRoot(system);
  const disk = join(dir, "disk.img");
  const mount = join(dir, "mount");
  await mkdir(mount);
  await run("truncate", ["--size=10G", disk]);
  await run("mkfs.ext4", ["-q", disk]);
  await run("mount", ["-o", "loop", disk, mount]);
  try {
    await run("cp", ["-a", `${root}/.`, mount]);
    await writeFile(join(mount, "etc/fstab"), "/dev/vda / ext4 defaults 0 1\n");
    await writeFile(join(mount, "etc/hostname"), "stock\n");
    const units = join(mount, "etc/systemd/system");
    // It would take the console, which the findings are printed on.
    await run("ln", ["-s", "/dev/null", join(units, "serial-getty@ttyS0.service")]);
    await writeFile(join(units, "lab.service"), UNIT);
    await mkdir(join(units, "multi-user.target.wants"), { recursive: true });
    await run("ln", ["-s", "../lab.service", join(units, "multi-user.target.wants/lab.service")]);
    await copy(cacheHome(), join(mount, "root/.cache/istio-lab"), LEFT_OUT);
    await copyNode(mount);
    await copy(PROGRAM, join(mount, CHECKOUT), [".git"]);
  } finally {
    await run("umount", [mount]);
    await rm(mount, { recursive: true });
  }
  const boot = await readdir(join(root, "boot"));
  const file = (prefix: string) => join(root, "boot", boot.find((name) => name.startsWith(prefix)) ?? "");
  return { disk, kernel: file("vmlinuz-"), initrd: file("initrd.img-") };
}

/** Copies what a directory has, less what matches one of the patterns. */
async function copy(from: string, to: string, leftOut: readonly string[]): Promise<void> {
  const script =
    'from=$1 to=$2; shift 2; mkdir -p "$to"; tar -C "$from" --no-wildcards-match-slash -cf - "$@" . | tar -xf - -C "$to"';
  await run("sh", ["-ec", script, "sh", from, to, ...leftOut.map((pattern) => `--exclude=./${pattern}`)]);
}

/** This process's Node and the npm beside it, so that the machine's `lab` has to bring neither. */
async function copyNode(mount: string): Promise<void> {
  const npm = (await run("npm", ["root", "--global"])).trim();
  await run("cp", [process.execPath, join(mount, "usr/local/bin/node")]);
  await mkdir(join(mount, "usr/local/lib/node_modules"), { recursive: true });
  await run("cp", ["-a", join(npm, "npm"), join(mount, "usr/local/lib/node_modules")]);
  await run("ln", ["-s", "../lib/node_modules/npm/bin/npm-cli.js", join(mount, "usr/local/bin/npm")]);
}

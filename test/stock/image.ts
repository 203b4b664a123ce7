/**
 * Makes the disk of the stock machine: Debian 12 with its own kernel, this checkout, the needed parts of the
 * cache.
 */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run } from "../../clients/process.ts";
import { PROGRAM } from "../../embedded/lab/stack.ts";
import { type RootSpec, rootFileSystem } from "../../embedded/toolchain/roots.ts";
import type { Toolchain } from "../../embedded/toolchain/toolchain.ts";

/** The kernel and init of Debian, what host.sh looks for, and iptables for Docker's settings. */
const STOCK: RootSpec = {
  name: "stock",
  packages: [
    ...["systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64", "initramfs-tools", "kmod", "procps"],
    ...["iproute2", "openssl", "openssh-client", "debootstrap", "gpgv", "debian-archive-keyring"],
    ...["systemd-container", "python3-pip", "iptables"],
  ],
};

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

/** Makes the disk in a directory: 6 GB, of which about half is used. */
export async function makeImage(dir: string, tools: Toolchain): Promise<StockImage> {
  const root = await rootFileSystem(STOCK);
  const disk = join(dir, "disk.img");
  const mount = join(dir, "mount");
  await mkdir(mount);
  await run("truncate", ["--size=6G", disk]);
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
    await run("cp", [process.execPath, join(mount, "usr/local/bin/node")]);
    const same = [
      tools.kubernetes,
      dirname(tools.nodeRoot),
      dirname(tools.loadBalancerRoot),
      dirname(dirname(tools.imageStore)),
      ...tools.archives,
      join(tools.tools, "kubectl"),
    ];
    await run("sh", [
      "-ec",
      'to=$1; shift; tar -cf - "$@" | tar -xf - -C "$to"',
      "sh",
      mount,
      ...roots(same),
    ]);
    await mkdir(join(mount, CHECKOUT));
    const copy = 'tar -C "$1" -cf - --exclude=.git . | tar -xf - -C "$2"';
    await run("sh", ["-ec", copy, "sh", PROGRAM, join(mount, CHECKOUT)]);
    await writeFile(join(mount, "root/toolchain.json"), JSON.stringify(tools));
  } finally {
    await run("umount", [mount]);
    await rm(mount, { recursive: true });
  }
  const boot = await readdir(join(root, "boot"));
  const file = (prefix: string) => join(root, "boot", boot.find((name) => name.startsWith(prefix)) ?? "");
  return { disk, kernel: file("vmlinuz-"), initrd: file("initrd.img-") };
}

/** Drops those that are inside another one. */
function roots(paths: readonly string[]): string[] {
  const all = [...new Set(paths)];
  return all.filter((path) => !all.some((other) => other !== path && path.startsWith(`${other}/`)));
}

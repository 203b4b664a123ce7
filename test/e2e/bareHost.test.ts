// A Debian as debootstrap makes it, with nothing of what machines need: host.sh names it, installs it, starts
// nothing.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PROGRAM } from "../../embedded/lab/stack.ts";
import { ROOTS, rootFileSystem } from "../../embedded/toolchain/roots.ts";

/** Runs as root in a mount namespace of its own: $1 the bare root, $2 a directory, $3 the checkout. */
const SCRIPT = `
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
root=$2/root
for dir in proc sys dev; do mount --rbind "/$dir" "$root/$dir"; done
for dir in srv run; do mount -t tmpfs tmpfs "$root/$dir"; done
# The ways to the mirrors are the host's.
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp -a /etc/apt/. "$root/etc/apt/"
mkdir -p "$root/etc/ssl/certs" "$root/srv/toolchain"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp -r "$3/embedded/toolchain/." "$root/srv/toolchain"
host() { chroot "$root" sh /srv/toolchain/host.sh /srv/cache /srv/state "$1"; }
host /srv/cache/node
echo "== again"
host ""
echo "== node $(chroot "$root" /srv/cache/node/bin/node --version)"
echo "== npm $(chroot "$root" /srv/cache/node/bin/npm --version)"
echo "== left $(ls -A "$root/srv" | tr '\\n' ' ')"
`;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "istio-lab-bare-"));
});
afterAll(() => rm(dir, { recursive: true }));

test("a bare Debian has all that is needed after host.sh, and nothing to do the second time", async () => {
  const root = await rootFileSystem(ROOTS.images);
  const script = join(dir, "script");
  await writeFile(script, SCRIPT);
  const mount = join(dir, "mount");
  await execa("mkdir", [mount]);
  const { all } = await execa(
    "unshare",
    ["--mount", "--propagation", "private", "sh", "-eu", script, root, mount, PROGRAM],
    { all: true },
  );
  expect(all).toMatch(/- Debian packages: debootstrap .*systemd-container.* python3-pip/);
  expect(all).toContain("- Node 24 into /srv/cache/node");
  expect(all).toContain("- Go 1.26 into /srv/cache/bin, if something has to be built from source");
  expect(all).toMatch(/with what they depend on: .*python3.11/);
  const [, again = ""] = all.split("== again");
  expect(again).not.toContain("Debian packages");
  expect(again).toMatch(/== node v24\./);
  expect(again).toMatch(/== npm \d+\./);
  expect(again).toMatch(/== left cache toolchain $/m);
});

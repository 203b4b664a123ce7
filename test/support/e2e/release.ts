/** Root file systems for a load-balancer machine with the HAProxy of another release of Debian. */
import { join } from "node:path";
import { run } from "../../../clients/process.ts";
import { cached } from "../../../embedded/toolchain/cache/cache.ts";
import { ROOTS, rootFileSystem } from "../../../embedded/toolchain/roots.ts";

/** The newest release whose systemd starts where there is no cgroup v2. */
const BASE = "trixie";

/** Releases that bring their HAProxy alone to {@link BASE}, and the suites that it comes from. */
const ON_BASE: Readonly<Record<string, readonly string[]>> = {
  forky: ["forky"],
  experimental: ["forky", "experimental"],
};

/** Makes a machine of that release, or one of {@link BASE} with its HAProxy, once; returns its directory. */
export async function rootOfRelease(release: string): Promise<string> {
  const suites = ON_BASE[release];
  if (!suites) return ofSuite(release);
  const base = await ofSuite(BASE);
  const name = `load-balancer-${BASE}-${release}`;
  return cached({ kind: "roots", name, ingredients: [base, ...suites, ADD], room: 600 }, async (into) => {
    const root = join(into, "root");
    await run("cp", ["--archive", base, root]);
    await run("cp", ["--remove-destination", "/etc/resolv.conf", join(root, "etc/resolv.conf")]);
    await run("chroot", [root, "sh", "-euc", ADD, "sh", ...suites]);
  }).then((dir) => join(dir, "root"));
}

function ofSuite(suite: string): Promise<string> {
  const { packages } = ROOTS.loadBalancer;
  return rootFileSystem({ name: `load-balancer-${suite}`, suite, packages });
}

/** As on a user's machine with a second release in its sources. Nothing is started: the host would run it. */
const ADD = `
export DEBIAN_FRONTEND=noninteractive
for suite; do
  # A mirror's copy of a suite may be of an earlier day. Its signature is checked all the same.
  sed -n "s/^deb \\\\([^ ]*\\\\) .*/deb [check-valid-until=no] \\\\1 $suite main/p" /etc/apt/sources.list
done >/etc/apt/sources.list.d/newer.list
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
apt-get update
apt-get install --yes --no-install-recommends --target-release="$suite" haproxy
rm -r /etc/apt/sources.list.d/newer.list /usr/sbin/policy-rc.d /var/lib/apt/lists /var/cache/apt
: >/etc/resolv.conf
`;

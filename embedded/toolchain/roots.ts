/** Makes Debian root file systems by debootstrap, in the cache. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../clients/process.ts";
import { cached } from "./cache/cache.ts";

/** A root file system: a minimal Debian with these packages. */
export interface RootSpec {
  readonly name: string;
  readonly packages: readonly string[];
  /** Debian's release. @default Debian 12 */
  readonly suite?: string;
  /** Where the suite is from. @default Debian's archive, at the mirror that the host's apt uses */
  readonly archive?: Archive;
}

/** An archive that debootstrap has the address of. */
interface Archive {
  /** File with its keys. */
  readonly keyring: string;
  readonly components: readonly string[];
  /** debootstrap's script for it. @default the suite's */
  readonly script?: string;
}

export const ROOTS = {
  node: {
    name: "node",
    packages: [
      ...["containerd", "runc", "containernetworking-plugins", "iptables", "conntrack", "ipset", "iproute2"],
      ...["ethtool", "socat", "procps", "kmod", "etcd-server", "ca-certificates"],
    ],
  },
  loadBalancer: {
    name: "load-balancer",
    packages: ["systemd-sysv", "dbus", "openssh-server", "haproxy", "sudo", "iproute2", "curl"],
  },
  images: { name: "images", packages: ["busybox-static", "nginx-light", "iptables", "ca-certificates"] },
  monitoring: { name: "monitoring", packages: ["prometheus", "openjdk-17-jre-headless", "maven"] },
} as const satisfies Record<string, RootSpec>;

const SUITE = "bookworm";
/** Megabytes with the downloaded packages; measured up to 0.5 GB. */
const ROOM = 600;

const DEBIAN: Archive = {
  // From the package debian-archive-keyring. Ubuntu has no other keys for Debian.
  keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
  components: ["main"],
};

/**
 * Makes a Debian root file system once and returns its directory. The archive's signature verifies the
 * packages.
 */
export async function rootFileSystem(spec: RootSpec): Promise<string> {
  const suite = spec.suite ?? SUITE;
  const ingredients = [suite, ...spec.packages];
  return cached({ kind: "roots", name: spec.name, ingredients, room: ROOM }, async (into) => {
    // debootstrap makes its target directory, and changes its mode.
    const root = join(into, "root");
    const { keyring, components, script } = spec.archive ?? DEBIAN;
    // An empty mirror is debootstrap's own default.
    const mirror = spec.archive ? "" : await mirrorOfHost();
    await run("debootstrap", [
      "--variant=minbase",
      // Without the flag, debootstrap checks nothing when the keyring is missing.
      ...["--force-check-gpg", `--keyring=${keyring}`],
      `--components=${components.join(",")}`,
      `--include=${spec.packages.join(",")}`,
      suite,
      root,
      mirror,
      ...(script === undefined ? [] : [script]),
    ]);
    await writeFile(join(root, "etc/resolv.conf"), "");
    await run("rm", ["-rf", join(root, "var/cache/apt/archives"), join(root, "var/lib/apt/lists")]);
  }).then((dir) => join(dir, "root"));
}

/** The mirror that the host's apt uses for this suite; debootstrap's default elsewhere. */
async function mirrorOfHost(): Promise<string> {
  const format = "$(REPO_URI) $(CODENAME) $(COMPONENT)";
  const targets = await run("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]).catch(
    () => "",
  );
  const match = targets
    .split("\n")
    .map((line) => line.split(" "))
    .find(([, suite, part]) => suite === SUITE && part === "main");
  return match?.[0] ?? "";
}

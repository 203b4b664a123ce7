/** The systems that the stock machine can have, each with its own kernel and systemd. */
import { join } from "node:path";
import { type RootSpec, rootFileSystem } from "../../embedded/toolchain/roots.ts";

/** Names of the systems, as on the command line. */
export const SYSTEMS = ["debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04", "ubuntu-26.04"] as const;
export type System = (typeof SYSTEMS)[number];

/** Init, what host.sh looks for, and iptables for Docker's settings. */
const PACKAGES = [
  ...["systemd-sysv", "udev", "dbus", "initramfs-tools", "kmod", "procps", "iptables"],
  ...["iproute2", "openssl", "openssh-client", "debootstrap", "gpgv", "debian-archive-keyring"],
  ...["systemd-container", "python3-pip"],
];

/** Debian has the keys of Ubuntu's archive, so that its own keys vouch for them. */
const UBUNTU_KEYS: RootSpec = { name: "ubuntu-keys", suite: "trixie", packages: ["ubuntu-keyring"] };

/** Makes the root file system of a system, with a kernel and its initrd in /boot. */
export function stockRoot(system: System): Promise<string> {
  switch (system) {
    case "debian-12":
      return debian("bookworm");
    case "debian-13":
      return debian("trixie");
    case "ubuntu-22.04":
      return ubuntu("jammy");
    case "ubuntu-24.04":
      return ubuntu("noble");
    case "ubuntu-26.04":
      return ubuntu("resolute");
  }
}

function debian(suite: string): Promise<string> {
  return rootFileSystem({
    name: `stock-${suite}`,
    suite,
    packages: [...PACKAGES, "linux-image-cloud-amd64"],
  });
}

async function ubuntu(suite: string): Promise<string> {
  const keyring = join(await rootFileSystem(UBUNTU_KEYS), "usr/share/keyrings/ubuntu-archive-keyring.gpg");
  return rootFileSystem({
    name: `stock-${suite}`,
    suite,
    packages: [...PACKAGES, "linux-image-virtual", "apparmor"],
    archive: {
      keyring,
      components: ["main", "universe"],
      // It serves all of Ubuntu's suites. Debian 12's debootstrap does not know the newest ones by name.
      script: "/usr/share/debootstrap/scripts/gutsy",
    },
  });
}

/**
 * The load-balancer machine with HAProxy in a container, set up as in docs/load-balancer.md, without an image
 * registry.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PROGRAM } from "../../../embedded/lab/stack.ts";

export type Engine = "podman" | "docker";

/** What each needs in this machine, a container of systemd on an overlay. */
const SETTINGS = {
  podman: `
mkdir -p /etc/containers
cat >/etc/containers/storage.conf <<END
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
END
cat >/etc/containers/containers.conf <<END
[containers]
keyring = false
cgroups = "disabled"
[network]
network_backend = "netavark"
END
`,
  docker: `
systemctl disable --now docker.socket docker containerd 2>/dev/null
for each in /sys/fs/cgroup/*; do mount -o remount,rw,bind $each 2>/dev/null || true; done
mkdir -p /etc/docker
cat >/etc/docker/daemon.json <<END
{"storage-driver": "vfs", "iptables": false, "ip6tables": false, "ip-forward": false, "bridge": "none"}
END
setsid dockerd >/run/dockerd.log 2>&1 </dev/null &
until docker info >/dev/null 2>&1; do sleep 0.2; kill -0 $!; done
`,
} as const satisfies Record<Engine, string>;

/**
 * Prepares the machine, past the capabilities that it lacks as a container. The image holds the machine's own
 * HAProxy and its libraries, which are then removed from the machine.
 */
export const prepare = (engine: Engine) => `
set -eu
${SETTINGS[engine]}
systemctl disable --now haproxy 2>/dev/null
image=/var/tmp/image
mkdir -p $image/etc $image/var/lib/haproxy $image/run $image/tmp
for file in /usr/sbin/haproxy $(ldd /usr/sbin/haproxy | grep -o '/[^ ]*'); do
  mkdir -p "$image$(dirname "$file")"
  cp -L "$file" "$image$file"
done
cp /etc/passwd /etc/group $image/etc/
tar -C $image -c . | ${engine} import --change 'ENV PATH=/usr/sbin' - localhost/haproxy
rm -rf $image /usr/sbin/haproxy /etc/haproxy /run/haproxy /var/lib/haproxy
echo prepared
`;

/** The commands of the documentation's section, with that image and engine. */
export async function documentedCommands(engine: Engine): Promise<{ setUp: string; reload: string }> {
  const text = await readFile(join(PROGRAM, "docs/load-balancer.md"), "utf8");
  const section = /\n## In a container\n([\s\S]*?)(?=\n## |$)/.exec(text)?.[1] ?? "";
  const blocks = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block ?? "");
  const ours = (block: string) =>
    block.replaceAll("docker.io/library/haproxy:2.8", "localhost/haproxy").replaceAll("docker", engine);
  const [setUp = "", setting = ""] = blocks.map(ours);
  return { setUp, reload: /reloadCommand\s+'([^']+)'/.exec(setting)?.[1] ?? "" };
}

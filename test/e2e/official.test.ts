/** All official artifacts of the toolchain, from a mirror on this host. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { cacheHome } from "../../embedded/host/instance.ts";
import { runTasks } from "../../embedded/host/progress.ts";
import { OFFICIAL_IMAGES } from "../../embedded/toolchain/official/images.ts";
import { parseImageName } from "../../embedded/toolchain/official/registry.ts";
import type { From } from "../../embedded/toolchain/parts.ts";
import { ensureToolchain } from "../../embedded/toolchain/toolchain.ts";
import {
  ISTIO_VERSION,
  KUBERNETES_VERSION,
  PULUMI_VERSION,
} from "../../embedded/toolchain/versions/versions.ts";
import { registryProgram, TestRegistry } from "../support/registry.ts";

const cache = cacheHome();
const program = await registryProgram(join(cache, "test"));

// The mirror serves this host's own builds in the layout of the originals: the way is the same, the content
// is not.
describe.skipIf(!program)("(needs Debian's docker-registry) official artifacts from a mirror", () => {
  let home: string;
  let mirror: string;
  let registry: TestRegistry;

  beforeAll(async () => {
    const built = await ensureToolchain(
      (tasks) => runTasks(tasks, { quiet: true }),
      () => undefined,
    );
    home = await mkdtemp(join(tmpdir(), "istio-lab-mirror-"));
    mirror = join(home, "mirror");
    await serveFiles(built.kubernetes, dirname(await istioctlOf(built.tools)), built.pulumi);
    registry = await TestRegistry.start(program ?? "", join(home, "registry"), await freePort());
    await serveImages(built.archives);
    // A cache of its own, with the builds and root file systems that the mirror does not replace.
    const own = join(home, "cache", "istio-lab");
    await mkdir(own, { recursive: true });
    for (const name of await readdir(cache))
      if (/^(bin|roots|go-|node)/.test(name)) await symlink(join(cache, name), join(own, name));
    vi.stubEnv("XDG_CACHE_HOME", join(home, "cache"));
    vi.stubEnv("LAB_MIRROR", mirror);
    vi.stubEnv("LAB_MIRROR_REGISTRY", `http://${registry.host}`);
  });
  afterAll(async () => {
    await registry.stop();
    vi.unstubAllEnvs();
    await rm(home, { recursive: true });
  });

  const make = (from?: From) =>
    ensureToolchain(
      (tasks) => runTasks(tasks, { quiet: true }),
      () => undefined,
      from ? { from } : {},
    );

  test("one wrong checksum: that part is built, the others are official", async () => {
    const file = join(mirror, `dl.k8s.io/${KUBERNETES_VERSION}/bin/linux/amd64/kubectl.sha256`);
    const right = await readFile(file, "utf8");
    await writeFile(file, "0".repeat(64));
    const { parts } = await make();
    expect(parts.filter(({ official }) => !official)).toEqual([
      {
        part: "Kubernetes",
        official: false,
        why: expect.stringMatching(/\/kubectl has sha256 .* is not used$/),
      },
    ]);
    await expect(make("official")).rejects.toThrow(
      /^Kubernetes: the official one is out of reach: .*\/kubectl /,
    );
    await writeFile(file, right);
  });

  test("everything from the mirror: the machines' containerd has the official images by name", async () => {
    const { parts, images, imageStore } = await make("official");
    expect(parts.filter(({ official }) => !official)).toEqual([]);
    expect(images).toEqual({
      pause: OFFICIAL_IMAGES.pause,
      coredns: OFFICIAL_IMAGES.coredns,
      nginx: OFFICIAL_IMAGES.nginx,
      istio: { hub: "docker.io/istio", tag: ISTIO_VERSION, plain: false },
    });
    const metadata = await readFile(join(imageStore, "io.containerd.metadata.v1.bolt", "meta.db"), "latin1");
    const { hub, tag } = OFFICIAL_IMAGES.istio;
    const names = [images.pause, images.coredns, ...Object.values(images.nginx)];
    for (const name of [...names, `${hub}/pilot:${tag}`, `${hub}/proxyv2:${tag}`])
      expect(metadata).toContain(name);
  });

  test("with the mirror gone, the cache serves on", async () => {
    await rm(mirror, { recursive: true });
    await mkdir(mirror);
    await registry.stop();
    const { parts } = await make("official");
    expect(parts.filter(({ official }) => !official)).toEqual([]);
  });

  async function serveFiles(kubernetes: string, istioctl: string, pulumi: string): Promise<void> {
    const directory = join(mirror, `dl.k8s.io/${KUBERNETES_VERSION}/bin/linux/amd64`);
    await mkdir(directory, { recursive: true });
    for (const name of await readdir(kubernetes)) {
      await symlink(join(kubernetes, name), join(directory, name));
      await writeFile(join(directory, `${name}.sha256`), await sha256sum(join(kubernetes, name)));
    }
    const releases = join(mirror, `github.com/istio/istio/releases/download/${ISTIO_VERSION}`);
    const istio = `istioctl-${ISTIO_VERSION}-linux-amd64.tar.gz`;
    await mkdir(releases, { recursive: true });
    await archive(join(releases, istio), istioctl, ["istioctl"]);
    await writeFile(
      join(releases, `${istio}.sha256`),
      `${await sha256sum(join(releases, istio))}  ${istio}\n`,
    );
    const sdk = join(mirror, "get.pulumi.com/releases/sdk");
    const engine = `pulumi-${PULUMI_VERSION}-linux-x64.tar.gz`;
    const staged = join(home, "engine", "pulumi");
    await mkdir(sdk, { recursive: true });
    await mkdir(staged, { recursive: true });
    await execa("cp", [join(pulumi, "pulumi"), staged]);
    // The built engine has no language plugin beside it.
    await writeFile(join(staged, "pulumi-language-nodejs"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    await archive(join(sdk, engine), dirname(staged), ["pulumi"]);
    const checksums = `pulumi-${PULUMI_VERSION.slice(1)}-checksums.txt`;
    await writeFile(join(sdk, checksums), `${await sha256sum(join(sdk, engine))}  ${engine}\n`);
  }

  async function serveImages(archives: readonly string[]): Promise<void> {
    const { pause, coredns, nginx, istio } = OFFICIAL_IMAGES;
    const names: Record<string, readonly string[]> = {
      pause: [pause],
      coredns: [coredns],
      nginx: Object.values(nginx),
      pilot: [`${istio.hub}/pilot:${istio.tag}`],
      proxyv2: [`${istio.hub}/proxyv2:${istio.tag}`],
    };
    const list: string[] = [];
    for (const archive of archives) {
      const kind = /\/images\/([a-z0-9]+)-/.exec(archive)?.[1] ?? "";
      const unpacked = await mkdtemp(join(home, "image-"));
      await execa("tar", ["-C", unpacked, "-xf", archive]);
      const config = JSON.parse(await readFile(join(unpacked, "config.json"), "utf8"));
      const image = { config, layer: await readFile(join(unpacked, "layer.tar")) };
      await rm(unpacked, { recursive: true });
      for (const name of names[kind] ?? []) {
        const { host, repository, tag } = parseImageName(name);
        list.push(`${await registry.putImage(`${host}/${repository}`, tag, image)} ${name}`);
      }
    }
    await writeFile(join(mirror, "images.txt"), `${list.join("\n")}\n`);
  }
});

async function istioctlOf(tools: string): Promise<string> {
  return (await execa("readlink", ["-f", join(tools, "istioctl")])).stdout;
}

async function archive(file: string, directory: string, entries: readonly string[]): Promise<void> {
  await execa("tar", ["-C", directory, "-I", "gzip -1", "-cf", file, ...entries]);
}

async function sha256sum(file: string): Promise<string> {
  return (await execa("sha256sum", [file])).stdout.slice(0, 64);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

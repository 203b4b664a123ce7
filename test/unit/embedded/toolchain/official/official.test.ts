/** Tests of embedded/toolchain/official/official.ts. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  officialIstioctl,
  officialKubernetes,
  officialPlugin,
  officialPulumi,
} from "../../../../../embedded/toolchain/official/official.ts";
import { officialOrigin } from "../../../../../embedded/toolchain/official/origin.ts";
import {
  ISTIO_VERSION,
  KUBERNETES_VERSION,
  PULUMI_VERSION,
} from "../../../../../embedded/toolchain/versions/versions.ts";
import { ArtifactServer } from "../../../../support/artifactServer.ts";

const BINARIES = [
  ...["kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"],
];
const KUBERNETES = `dl.k8s.io/${KUBERNETES_VERSION}/bin/linux/amd64`;
const quietly = () => undefined;

let home: string;
let server: ArtifactServer;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "istio-lab-official-"));
  vi.stubEnv("XDG_CACHE_HOME", join(home, "cache"));
  server = await ArtifactServer.start({});
  for (const name of BINARIES) {
    server.files[`/${KUBERNETES}/${name}`] = `binary of ${name}`;
    server.files[`/${KUBERNETES}/${name}.sha256`] = sha256(`binary of ${name}`);
  }
});
afterEach(async () => {
  await server.stop();
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

const mirror = (place = server.url) => officialOrigin({ env: { LAB_MIRROR: place } });

test("Kubernetes' binaries are taken from the layout of its release site, executable", async () => {
  const directory = await officialKubernetes(await mirror(), quietly);
  expect((await readdir(directory)).sort()).toEqual(BINARIES);
  expect(await readFile(join(directory, "kubelet"), "utf8")).toBe("binary of kubelet");
  expect((await stat(join(directory, "kubelet"))).mode & 0o111).toBe(0o111);
});

test("a cached artifact is not requested again", async () => {
  const first = await officialKubernetes(await mirror(), quietly);
  const before = server.requests.length;
  expect(await officialKubernetes(await mirror(), quietly)).toBe(first);
  expect(server.requests).toHaveLength(before);
});

test("one wrong binary among the six: none is used", async () => {
  server.files[`/${KUBERNETES}/kubelet`] = "another binary";
  await expect(officialKubernetes(await mirror(), quietly)).rejects.toThrow(
    /kubelet has sha256 [0-9a-f]{64}, and [0-9a-f]{64} is published: it is not used$/,
  );
  const kept = await readdir(join(home, "cache", "istio-lab", "official"));
  expect(kept.filter((name) => !name.startsWith("."))).toEqual([]);
});

test("the same from a mirror that is a directory", async () => {
  const directory = join(home, "mirror");
  for (const [path, content] of Object.entries(server.files)) {
    await mkdir(join(directory, path, ".."), { recursive: true });
    await writeFile(join(directory, path), content);
  }
  const binaries = await officialKubernetes(await mirror(directory), quietly);
  expect(await readFile(join(binaries, "kubectl"), "utf8")).toBe("binary of kubectl");
  expect(server.requests).toEqual([]);
});

test("another mirror's artifact is not taken for this one's", async () => {
  await officialKubernetes(await mirror(), quietly);
  const other = await ArtifactServer.start({});
  await expect(officialKubernetes(await mirror(other.url), quietly)).rejects.toThrow(/404/);
  await other.stop();
});

test("istioctl is taken out of its archive", async () => {
  const archive = await archiveOf({ istioctl: "istioctl", LICENSE: "licence" });
  const base = `/github.com/istio/istio/releases/download/${ISTIO_VERSION}`;
  const name = `istioctl-${ISTIO_VERSION}-linux-amd64.tar.gz`;
  server.files[`${base}/${name}`] = archive;
  server.files[`${base}/${name}.sha256`] = `${sha256(archive)}  ${name}\n`;
  expect(await readdir(await officialIstioctl(await mirror(), quietly))).toEqual(["istioctl"]);
});

test("Pulumi comes with its language plugin, by the list of checksums of the release", async () => {
  const archive = await archiveOf({
    "pulumi/pulumi": "engine",
    "pulumi/pulumi-language-nodejs": "language plugin",
    "pulumi/pulumi-language-go": "another language",
  });
  const name = `pulumi-${PULUMI_VERSION}-linux-x64.tar.gz`;
  const other = `${"0".repeat(64)}  pulumi-${PULUMI_VERSION}-linux-arm64.tar.gz`;
  const list = `${other}\n${sha256(archive)}  ${name}\n`;
  server.files[`/get.pulumi.com/releases/sdk/${name}`] = archive;
  server.files[`/get.pulumi.com/releases/sdk/pulumi-${PULUMI_VERSION.slice(1)}-checksums.txt`] = list;
  const directory = await officialPulumi(await mirror(), quietly);
  expect((await readdir(directory)).sort()).toEqual(["pulumi", "pulumi-language-nodejs"]);
});

test("a plugin is taken from the release of its provider", async () => {
  const archive = await archiveOf({ "pulumi-resource-command": "plugin" });
  const base = "/github.com/pulumi/pulumi-command/releases/download/v1.2.1";
  const name = "pulumi-resource-command-v1.2.1-linux-amd64.tar.gz";
  server.files[`${base}/${name}`] = archive;
  server.files[`${base}/pulumi-command_1.2.1_checksums.txt`] = `${sha256(archive)}  ${name}\n`;
  const plugin = { provider: "command", version: "1.2.1" };
  expect(await readFile(await officialPlugin(await mirror(), plugin, quietly), "utf8")).toBe("plugin");
});

test("an archive without the program is not used", async () => {
  const archive = await archiveOf({ README: "moved" });
  const base = `/github.com/istio/istio/releases/download/${ISTIO_VERSION}`;
  const path = `${base}/istioctl-${ISTIO_VERSION}-linux-amd64.tar.gz`;
  server.files[path] = archive;
  server.files[`${path}.sha256`] = sha256(archive);
  await expect(officialIstioctl(await mirror(), quietly)).rejects.toThrow(/tar\.gz holds no istioctl$/);
});

test("a mirror of images that is no host is a mistake of the user", async () => {
  await expect(officialOrigin({ env: { LAB_MIRROR_REGISTRY: "http://a/b" } })).rejects.toThrow(
    'LAB_MIRROR_REGISTRY is "http://a/b": it has to be HOST:PORT, or http://HOST:PORT',
  );
});

function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

/** A .tar.gz of these files. */
async function archiveOf(files: Record<string, string>): Promise<Buffer> {
  const directory = await mkdtemp(join(home, "archive-"));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(directory, path, ".."), { recursive: true });
    await writeFile(join(directory, path), content);
  }
  const { stdout } = await execa("tar", ["-C", directory, "-cz", "."], { encoding: "buffer" });
  return Buffer.from(stdout);
}

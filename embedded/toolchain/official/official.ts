/** Downloads official release binaries, and verifies each by its published checksum. */
import { chmod, mkdir, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { run } from "../../../clients/process.ts";
import { cached, type Entry } from "../cache/cache.ts";
import { ISTIO_VERSION, KUBERNETES_VERSION, PULUMI_VERSION } from "../versions/versions.ts";
import { checksumOf, download } from "./download.ts";
import type { Origin } from "./origin.ts";
import { Unavailable } from "./source.ts";

/** Receives a line with the progress of a download. */
type Report = (line: string) => void;

/** kube-apiserver and the others, with kubectl. */
const KUBERNETES_BINARIES = [
  ...["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"],
];

/** Directory of Kubernetes' release binaries. @throws Unavailable */
export async function officialKubernetes(origin: Origin, report: Report): Promise<string> {
  const base = `dl.k8s.io/${KUBERNETES_VERSION}/bin/linux/amd64`;
  return kept(origin, { name: "kubernetes", version: KUBERNETES_VERSION, room: 500 }, async (into) => {
    for (const name of KUBERNETES_BINARIES) {
      report(`${name} ${KUBERNETES_VERSION}`);
      const published = await origin.text(`${base}/${name}.sha256`);
      await fetchFile(origin, `${base}/${name}`, join(into, name), checksumOf(name, published));
      await chmod(join(into, name), 0o755);
    }
  });
}

/** Directory of istioctl. @throws Unavailable */
export async function officialIstioctl(origin: Origin, report: Report): Promise<string> {
  const archive = `istioctl-${ISTIO_VERSION}-linux-amd64.tar.gz`;
  const url = `github.com/istio/istio/releases/download/${ISTIO_VERSION}/${archive}`;
  return kept(origin, { name: "istioctl", version: ISTIO_VERSION, room: 300 }, async (into) => {
    report(archive);
    const sha256 = checksumOf(archive, await origin.text(`${url}.sha256`));
    await fetchArchive(origin, url, into, sha256, ["istioctl"]);
  });
}

/** Directory of Pulumi's command line, with the language plugin beside it. @throws Unavailable */
export async function officialPulumi(origin: Origin, report: Report): Promise<string> {
  const archive = `pulumi-${PULUMI_VERSION}-linux-x64.tar.gz`;
  const base = "get.pulumi.com/releases/sdk";
  return kept(origin, { name: "pulumi", version: PULUMI_VERSION, room: 800 }, async (into) => {
    report(archive);
    const checksums = `pulumi-${PULUMI_VERSION.slice(1)}-checksums.txt`;
    const sha256 = checksumOf(archive, await origin.text(`${base}/${checksums}`));
    const files = ["pulumi/pulumi", "pulumi/pulumi-language-nodejs"];
    await fetchArchive(origin, `${base}/${archive}`, into, sha256, files);
  });
}

/** Executable of a resource plugin. @param provider kubernetes, command @throws Unavailable */
export async function officialPlugin(
  origin: Origin,
  { provider, version }: { provider: string; version: string },
  report: Report,
): Promise<string> {
  const executable = `pulumi-resource-${provider}`;
  const archive = `${executable}-v${version}-linux-amd64.tar.gz`;
  const base = `github.com/pulumi/pulumi-${provider}/releases/download/v${version}`;
  const directory = await kept(origin, { name: `plugin-${provider}`, version, room: 500 }, async (into) => {
    report(archive);
    const checksums = await origin.text(`${base}/pulumi-${provider}_${version}_checksums.txt`);
    const sha256 = checksumOf(archive, checksums);
    await fetchArchive(origin, `${base}/${archive}`, into, sha256, [executable]);
  });
  return join(directory, executable);
}

function kept(
  origin: Origin,
  { name, version, room }: { name: string; version: string; room: number },
  make: (into: string) => Promise<void>,
): Promise<string> {
  return keptOfficial({ kind: "official", name, ingredients: [origin.place, version], room }, make);
}

/**
 * As {@link cached}. What was made of an unavailable artifact is removed at once, because it can be large.
 */
export function keptOfficial(entry: Entry, make: (into: string) => Promise<void>): Promise<string> {
  return cached(entry, async (into) => {
    try {
      await make(into);
    } catch (error) {
      await rm(into, { recursive: true });
      throw error;
    }
  });
}

function fetchFile(origin: Origin, path: string, target: string, sha256: string): Promise<void> {
  return download(path, (offset) => origin.files.open(path, offset), target, sha256);
}

/** Extracts these files of a .tar.gz into a directory. */
async function fetchArchive(
  origin: Origin,
  path: string,
  into: string,
  sha256: string,
  files: readonly string[],
): Promise<void> {
  const archive = join(into, "archive");
  const unpacked = join(into, "unpacked");
  await fetchFile(origin, path, archive, sha256);
  await mkdir(unpacked);
  await run("tar", ["-C", unpacked, "-xzf", archive, "--no-same-owner"]);
  for (const file of files)
    await rename(join(unpacked, file), join(into, basename(file))).catch(() => {
      throw new Unavailable(`${path} holds no ${file}`, "file");
    });
  await rm(archive);
  await rm(unpacked, { recursive: true });
}

/** Writes container images as archives, without a container engine. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { run } from "../../../clients/process.ts";

/** The part of an OCI image configuration that the lab's images use. */
export interface ImageConfig {
  readonly Entrypoint: readonly string[];
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
}

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Writes a directory as an image of one layer, in the archive format of `docker save`
 * (https://github.com/moby/docker-image-spec, "Combined Image JSON + Filesystem Changeset Format").
 *
 * @param tags whole names, with their registry
 */
export async function writeImage(
  archive: string,
  root: string,
  tags: readonly string[],
  config: ImageConfig,
): Promise<void> {
  const parts = `${archive}.parts`;
  await mkdir(parts);
  const layer = join(parts, "layer.tar");
  // The same content gives the same bytes, so that the layer's digest is the same.
  const stable = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  await run("tar", ["-C", root, ...stable, "-cf", layer, "."]);
  const hash = createHash("sha256");
  await pipeline(createReadStream(layer), hash);
  const image = {
    architecture: "amd64",
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config: { ...config, Env: [PATH, ...(config.Env ?? [])] },
    rootfs: { type: "layers", diff_ids: [`sha256:${hash.digest("hex")}`] },
    history: [{ created: "1970-01-01T00:00:00Z" }],
  };
  await writeFile(join(parts, "config.json"), JSON.stringify(image));
  const manifest = [{ Config: "config.json", RepoTags: tags, Layers: ["layer.tar"] }];
  await writeFile(join(parts, "manifest.json"), JSON.stringify(manifest));
  await run("tar", ["-C", parts, "-cf", archive, "manifest.json", "config.json", "layer.tar"]);
  await rm(parts, { recursive: true });
}

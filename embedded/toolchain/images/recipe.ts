/** Builds an image from a recipe: fills a root directory from other parts, then archives it. */
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../../clients/process.ts";
import { cached, contentOf } from "../cache/cache.ts";
import { type ImageConfig, writeImage } from "./archive.ts";

const HERE = import.meta.dirname;

/** An image that the toolchain builds. */
export interface ImageRecipe {
  /** Name of the image's entry in the cache. */
  readonly name: string;
  /** Names by which a cluster refers to it. */
  readonly tags: readonly string[];
  readonly config: ImageConfig;
  /** Directories that it is made of, each named by its content. */
  readonly parts: readonly string[];
  /** Source files that decide its content. */
  readonly sources: readonly string[];
  /** Megabytes that the making needs. */
  readonly room: number;
  readonly fill: (into: string) => Promise<void>;
}

/** Builds an image once; returns its archive, which `ctr images import` reads. */
export async function builtImage(image: ImageRecipe): Promise<string> {
  const { name, tags, config, parts, room } = image;
  const own = ["recipe.ts", "archive.ts", "collect.sh"].map((file) => join(HERE, file));
  const ingredients = [await contentOf(...own, ...image.sources), JSON.stringify({ tags, config }), ...parts];
  const directory = await cached({ kind: "images", name, ingredients, room }, async (into) => {
    const root = join(into, "root");
    await mkdir(root);
    await image.fill(root);
    await writeImage(join(into, "image.tar"), root, tags, config);
    await run("rm", ["-rf", root]);
  });
  return join(directory, "image.tar");
}

/** Copies programs out of a root file system, with the shared libraries that they need. */
export async function collect(root: string, into: string, ...files: string[]): Promise<void> {
  await run("sh", [join(HERE, "collect.sh"), root, into, ...files]);
}

/** The certificate authorities of the web. */
export async function certificates(root: string, into: string): Promise<void> {
  await mkdir(join(into, "etc/ssl/certs"), { recursive: true });
  await cp(join(root, "etc/ssl/certs/ca-certificates.crt"), join(into, "etc/ssl/certs/ca-certificates.crt"));
}

/** The user database: root and one more. */
export async function users(into: string, user: string, group: string): Promise<void> {
  await mkdir(join(into, "etc"), { recursive: true });
  await writeFile(join(into, "etc/passwd"), `root:x:0:0:root:/root:/usr/sbin/nologin\n${user}\n`);
  await writeFile(join(into, "etc/group"), `root:x:0:\n${group}\n`);
}

/** Tests of embedded/toolchain/images/archive.ts. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeImage } from "../../../../../embedded/toolchain/images/archive.ts";

const gnuTar = (await execa("tar", ["--version"], { reject: false })).stdout?.includes("GNU tar");

let work: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), "istio-lab-image-"));
});
afterEach(() => rm(work, { recursive: true }));

test.skipIf(!gnuTar)(
  "(needs GNU tar) an image names its tags, its one layer by hash, and its configuration",
  async () => {
    const archive = await image("a");
    await execa("tar", ["-C", work, "-xf", archive]);
    const json = async (name: string) => JSON.parse(await readFile(join(work, name), "utf8"));
    const layer = createHash("sha256")
      .update(await readFile(join(work, "layer.tar")))
      .digest("hex");
    expect(await json("manifest.json")).toEqual([
      { Config: "config.json", RepoTags: ["docker.io/lab/x:1", "docker.io/lab/x:2"], Layers: ["layer.tar"] },
    ]);
    const config = await json("config.json");
    expect(config.rootfs.diff_ids).toEqual([`sha256:${layer}`]);
    expect(config.config).toMatchObject({
      Entrypoint: ["/x"],
      User: "1337:1337",
      Env: [expect.stringMatching(/^PATH=/), "A=b"],
    });
    const { stdout } = await execa("tar", ["-tf", join(work, "layer.tar")]);
    expect(stdout.split("\n")).toContain("./x");
  },
);

test.skipIf(!gnuTar)(
  "(needs GNU tar) the same content gives the same layer, whenever it is made",
  async () => {
    const layerOf = async (archive: string) => (await execa("tar", ["-xOf", archive, "config.json"])).stdout;
    expect(await layerOf(await image("a"))).toBe(await layerOf(await image("b")));
  },
);

async function image(name: string): Promise<string> {
  const root = join(work, name);
  await mkdir(root);
  await writeFile(join(root, "x"), "content");
  const archive = join(work, `${name}.tar`);
  await writeImage(archive, root, ["docker.io/lab/x:1", "docker.io/lab/x:2"], {
    Entrypoint: ["/x"],
    User: "1337:1337",
    Env: ["A=b"],
  });
  return archive;
}

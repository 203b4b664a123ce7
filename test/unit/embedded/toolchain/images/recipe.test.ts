/** Tests of embedded/toolchain/images/recipe.ts. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test, vi } from "vitest";
import { builtImage, type ImageRecipe } from "../../../../../embedded/toolchain/images/recipe.ts";
import { useOwnCache } from "../../../../support/ownCache.ts";

useOwnCache();

const recipe = (change: Partial<ImageRecipe> = {}): ImageRecipe => ({
  name: "x",
  tags: ["docker.io/lab/x:1"],
  config: { Entrypoint: ["/x"] },
  parts: ["/roots/a"],
  sources: [import.meta.filename],
  room: 1,
  fill: vi.fn(async (into: string) => writeFile(join(into, "x"), "content")),
  ...change,
});

test("an image is built once, and only its archive stays", async () => {
  const image = recipe();
  const archive = await builtImage(image);
  expect(await builtImage(image)).toBe(archive);
  expect(image.fill).toHaveBeenCalledOnce();
  expect((await execa("ls", [join(archive, "..")])).stdout).toBe("image.tar");
  expect((await execa("tar", ["-xOf", archive, "manifest.json"])).stdout).toContain("docker.io/lab/x:1");
});

test.each([
  ["other parts", { parts: ["/roots/b"] }],
  ["another configuration", { config: { Entrypoint: ["/y"] } }],
  ["another name", { tags: ["docker.io/lab/x:2"] }],
])("%s make another archive", async (_, change) => {
  expect(await builtImage(recipe(change))).not.toBe(await builtImage(recipe()));
});

/** Tests of embedded/toolchain/official/images.ts: what an image is trusted by. */
import { expect, test } from "vitest";
import { OFFICIAL_IMAGES, officialImages } from "../../../../../embedded/toolchain/official/images.ts";
import type { Origin } from "../../../../../embedded/toolchain/official/origin.ts";
import { Unavailable } from "../../../../../embedded/toolchain/official/source.ts";
import { useOwnCache } from "../../../../support/ownCache.ts";

useOwnCache();

/** An origin whose registry is away, and the references by which manifests were wanted of it. */
function origin(listed: Record<string, string>) {
  const wanted: string[] = [];
  const manifest = async (_: unknown, reference: string) => {
    wanted.push(reference);
    throw new Unavailable("the registry is away", "host");
  };
  const found = {
    place: JSON.stringify(listed),
    digests: async () => new Map(Object.entries(listed)),
    registry: { manifest },
  } as unknown as Origin;
  return { found, wanted };
}

test("an image without a digest and a signature is not even looked for", async () => {
  const { found, wanted } = origin({});
  await expect(officialImages(found, "zipkin", () => {})).rejects.toThrow(
    `no digest of ${OFFICIAL_IMAGES.zipkin} is published to check it by; images.txt of a mirror can name one`,
  );
  expect(wanted).toEqual([]);
});

test("a mirror's list names the digest", async () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const { found, wanted } = origin({ [OFFICIAL_IMAGES.zipkin]: digest });
  await expect(officialImages(found, "zipkin", () => {})).rejects.toThrow("the registry is away");
  expect(wanted).toEqual([digest]);
});

test("a pinned digest is used, and of Istio's images the tag, whose digest is signed", async () => {
  const { found, wanted } = origin({});
  await expect(officialImages(found, "pause", () => {})).rejects.toThrow("the registry is away");
  await expect(officialImages(found, "istio", () => {})).rejects.toThrow("the registry is away");
  expect(wanted).toEqual([expect.stringMatching(/^sha256:/), OFFICIAL_IMAGES.istio.tag]);
});

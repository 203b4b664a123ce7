/** The official images: their names, and how each is verified. */
import { join } from "node:path";
import { run } from "../../../clients/process.ts";
import type { ImageNames } from "../images/names.ts";
import { COREDNS_VERSION, ISTIO_VERSION, ZIPKIN_VERSION } from "../versions/versions.ts";
import { keptOfficial } from "./official.ts";
import type { Origin } from "./origin.ts";
import { type Manifest, parseImageName, pull } from "./registry.ts";
import { requireSignature } from "./signature.ts";
import { Unavailable } from "./source.ts";

export const OFFICIAL_IMAGES = {
  pause: "registry.k8s.io/pause:3.10.1",
  coredns: `docker.io/coredns/coredns:${COREDNS_VERSION}`,
  nginx: { v116: "docker.io/library/nginx:1.16.1", v117: "docker.io/library/nginx:1.17.9" },
  istio: { hub: "docker.io/istio", tag: ISTIO_VERSION, plain: false },
  prometheus: "docker.io/prom/prometheus:v3.10.0",
  zipkin: `docker.io/openzipkin/zipkin:${ZIPKIN_VERSION}`,
} as const satisfies ImageNames;

const { hub, tag } = OFFICIAL_IMAGES.istio;

/** The official images that replace each image of the toolchain. */
const OFFICIAL_PARTS = {
  pause: [OFFICIAL_IMAGES.pause],
  coredns: [OFFICIAL_IMAGES.coredns],
  nginx: Object.values(OFFICIAL_IMAGES.nginx),
  istio: [`${hub}/pilot:${tag}`, `${hub}/proxyv2:${tag}`],
  prometheus: [OFFICIAL_IMAGES.prometheus],
  zipkin: [OFFICIAL_IMAGES.zipkin],
} as const;

export type ImagePart = keyof typeof OFFICIAL_PARTS;

/** The digest of a tag. Of Zipkin's none is published. */
const DIGESTS: Readonly<Record<string, string>> = {
  [OFFICIAL_IMAGES.pause]: "sha256:278fb9dbcca9518083ad1e11276933a2e96f23de604a3a08cc3c80002767d24c",
  [OFFICIAL_IMAGES.coredns]: "sha256:7efd3c635b03efd68c4e8398fc45f0d993d0e9ab016f72c1cefb0fd6d01aa286",
  [OFFICIAL_IMAGES.nginx.v116]: "sha256:d20aa6d1cae56fd17cd458f4807e0de462caf2336f0b70b5eeb69fcaaf30dd9c",
  [OFFICIAL_IMAGES.nginx.v117]: "sha256:88ea86df324b03b3205cbf4ca0d999143656d0a3394675630e55e49044d38b50",
  [OFFICIAL_IMAGES.prometheus]: "sha256:4a61322ac1103a0e3aea2a61ef1718422a48fa046441f299d71e660a3bc71ae9",
};

/** The key with which Istio signs its images of 1.31.0. Later versions have another. */
const ISTIO_KEY = "istio.io/misc/istio-key.pub";

/** Megabytes for an image's layers and its archive; of proxyv2, the largest. */
const ROOM = 500;

/**
 * Pulls the images of a part once; returns their archives, which `ctr images import` reads.
 *
 * @throws Unavailable
 */
export async function officialImages(
  origin: Origin,
  part: ImagePart,
  report: (line: string) => void,
): Promise<string[]> {
  const archives: string[] = [];
  for (const name of OFFICIAL_PARTS[part]) archives.push(await officialImage(origin, name, report));
  return archives;
}

async function officialImage(origin: Origin, name: string, report: (line: string) => void): Promise<string> {
  const entry = {
    kind: "official",
    name: `image-${parseImageName(name).repository.replaceAll("/", "-")}-${parseImageName(name).tag}`,
    ingredients: [origin.place, name],
    room: ROOM,
  };
  const directory = await keptOfficial(entry, async (into) => {
    report(`looking for ${name}`);
    const layout = join(into, "layout");
    await pull(origin.registry, name, await trusted(origin, name), layout, report);
    await run("tar", ["-C", layout, "-cf", join(into, "image.tar"), "oci-layout", "index.json", "blobs"]);
    await run("rm", ["-rf", layout]);
  });
  return join(directory, "image.tar");
}

/**
 * The digest that the name stands for: pinned, in the mirror's list, or signed by the publisher.
 *
 * @throws Unavailable where there is none of these
 */
async function trusted(origin: Origin, name: string): Promise<Manifest> {
  const image = parseImageName(name);
  const digest = (await origin.digests()).get(name) ?? DIGESTS[name];
  if (digest) return origin.registry.manifest(image, digest);
  if (!name.startsWith(`${hub}/`))
    throw new Unavailable(
      `no digest of ${name} is published to check it by; images.txt of a mirror can name one`,
      "file",
    );
  const manifest = await origin.registry.manifest(image, image.tag);
  await requireSignature(origin.registry, name, manifest.digest, await origin.text(ISTIO_KEY));
  return manifest;
}

/** Pulls images from a registry by its API, and checks every byte by its digest. */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { download, readText } from "./download.ts";
import { type Headers, type Source, Unauthorized, Unavailable } from "./source.ts";

/** The parts of an image's whole name: docker.io/istio/pilot:1.31.0. */
export interface ImageName {
  readonly host: string;
  readonly repository: string;
  readonly tag: string;
}

/** A registry's document, byte by byte as received, because its digest is of these bytes. */
export interface Manifest {
  readonly text: string;
  readonly digest: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

const OCI = "application/vnd.oci.image";
const DOCKER = "application/vnd.docker.distribution";
const MANIFEST_TYPES = [
  ...[`${OCI}.index.v1+json`, `${DOCKER}.manifest.list.v2+json`],
  ...[`${OCI}.manifest.v1+json`, `${DOCKER}.manifest.v2+json`],
];

export function parseImageName(name: string): ImageName {
  const match = /^(?<host>[^/]+)\/(?<repository>.+):(?<tag>[^:/]+)$/.exec(name);
  const { host = "", repository = "", tag = "" } = match?.groups ?? {};
  return { host, repository, tag };
}

/** The repositories of one registry. */
export class Registry {
  readonly #source: Source;
  readonly #mirror: string | undefined;
  readonly #tokens = new Map<string, Headers>();

  /** @param mirror host of a registry that has all images, each below the name of its original host */
  constructor(source: Source, mirror?: string) {
    this.#source = source;
    this.#mirror = mirror;
  }

  /** @param reference a tag or a digest @throws Unavailable */
  async manifest(image: ImageName, reference: string): Promise<Manifest> {
    const what = `${image.host}/${image.repository}:${reference}`;
    const text = await readText(what, (offset) =>
      this.#open(image, `manifests/${reference}`, offset, { accept: MANIFEST_TYPES.join(", ") }),
    );
    const digest = digestOf(text);
    if (reference.startsWith("sha256:") && reference !== digest)
      throw new Unavailable(`${what} is ${digest}: it is not used`, "file");
    return { text, digest };
  }

  /** Downloads one blob. @throws Unavailable */
  blob(image: ImageName, digest: string, target: string): Promise<void> {
    const what = `layer ${digest.slice(0, 19)} of ${image.host}/${image.repository}`;
    const open = (offset: number) => this.#open(image, `blobs/${digest}`, offset);
    return download(what, open, target, digest.replace("sha256:", ""));
  }

  async blobText(image: ImageName, digest: string): Promise<string> {
    const text = await readText(digest, (offset) => this.#open(image, `blobs/${digest}`, offset));
    if (digestOf(text) !== digest) throw new Unavailable(`${digest} has other bytes`, "file");
    return text;
  }

  async #open(image: ImageName, path: string, offset: number, headers: Headers = {}) {
    const url = `${this.#prefix(image)}/${path}`;
    const open = () => this.#source.open(url, offset, { ...headers, ...this.#tokens.get(image.repository) });
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof Unauthorized) || this.#tokens.has(image.repository)) throw error;
      this.#tokens.set(image.repository, await this.#token(error.challenge, image));
      return open();
    }
  }

  #prefix({ host, repository }: ImageName): string {
    if (this.#mirror) return `${this.#mirror}/v2/${host}/${repository}`;
    return `${host === "docker.io" ? "registry-1.docker.io" : host}/v2/${repository}`;
  }

  /** An anonymous token (https://distribution.github.io/distribution/spec/auth/token/). */
  async #token(challenge: string, { repository }: ImageName): Promise<Headers> {
    const of = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(challenge)?.[1] ?? "";
    const realm = of("realm").replace(/^https?:\/\//, "");
    if (!challenge.startsWith("Bearer ") || !realm)
      throw new Unavailable(`the registry serves ${repository} to known users only`, "host");
    const query = new URLSearchParams({ service: of("service"), scope: `repository:${repository}:pull` });
    const text = await readText(`the token for ${repository}`, () => this.#source.open(`${realm}?${query}`));
    const { token, access_token } = JSON.parse(text) as { token?: string; access_token?: string };
    return { authorization: `Bearer ${token ?? access_token}` };
  }
}

/**
 * Pulls the image of this platform into a directory in the OCI image layout, which `ctr images import` reads.
 *
 * @param index the document of the name: the image, or a list with one image for each platform
 * @param report receives a line with the progress
 */
export async function pull(
  registry: Registry,
  name: string,
  index: Manifest,
  into: string,
  report: (line: string) => void,
): Promise<void> {
  const image = parseImageName(name);
  const { text, digest } = await ofThisPlatform(registry, image, index);
  const { mediaType, config, layers } = JSON.parse(text) as {
    mediaType?: string;
    config: Descriptor;
    layers: Descriptor[];
  };
  const blobs = join(into, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  await writeFile(join(blobs, digest.replace("sha256:", "")), text);
  for (const [i, blob] of [config, ...layers].entries()) {
    report(`${image.repository}: ${i} of ${layers.length + 1} pieces`);
    await registry.blob(image, blob.digest, join(blobs, blob.digest.replace("sha256:", "")));
  }
  const manifest = {
    mediaType: mediaType ?? `${OCI}.manifest.v1+json`,
    digest,
    size: Buffer.byteLength(text),
    annotations: { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": image.tag },
  };
  await writeFile(join(into, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writeFile(join(into, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
}

async function ofThisPlatform(registry: Registry, image: ImageName, index: Manifest): Promise<Manifest> {
  const { manifests } = JSON.parse(index.text) as { manifests?: Descriptor[] };
  if (!manifests) return index;
  const own = manifests.find(({ platform }) => platform?.os === "linux" && platform.architecture === "amd64");
  if (!own) throw new Unavailable(`${image.repository}:${image.tag} is not made for linux/amd64`, "file");
  return registry.manifest(image, own.digest);
}

function digestOf(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

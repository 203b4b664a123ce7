/** Tests of embedded/toolchain/official/registry.ts. */
import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cacheHome } from "../../../../../embedded/host/instance.ts";
import { parseImageName, pull, Registry } from "../../../../../embedded/toolchain/official/registry.ts";
import { requireSignature } from "../../../../../embedded/toolchain/official/signature.ts";
import { httpClient, overHttp } from "../../../../../embedded/toolchain/official/source.ts";
import { ArtifactServer } from "../../../../support/artifactServer.ts";
import { useOwnCache } from "../../../../support/ownCache.ts";
import { registryProgram, sha256, TestRegistry } from "../../../../support/registry.ts";

const NAME = "docker.io/istio/pilot:1.31.0";
const PILOT = parseImageName(NAME);
const LAYER = Buffer.from("a layer");
const CONFIG = { architecture: "amd64", os: "linux" };
const PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json";

const program = await registryProgram(join(cacheHome(), "test"));

const ownCache = useOwnCache();

test.each([
  ["docker.io/istio/pilot:1.31.0", { host: "docker.io", repository: "istio/pilot", tag: "1.31.0" }],
  ["registry.k8s.io/pause:3.10.1", { host: "registry.k8s.io", repository: "pause", tag: "3.10.1" }],
])("the parts of %s", (name, parts) => {
  expect(parseImageName(name)).toEqual(parts);
});

describe.skipIf(!program)("(needs Debian's docker-registry) a real registry", () => {
  let server: TestRegistry;
  let registry: Registry;
  let home: string;
  let digest: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "istio-lab-images-"));
    server = await TestRegistry.start(program ?? "", home, await freePort());
    registry = new Registry(overHttp(httpClient(), "http:/"), server.host);
    digest = await server.putImage("docker.io/istio/pilot", "1.31.0", { config: CONFIG, layer: LAYER });
  });
  afterAll(async () => {
    await server.stop();
    await rm(home, { recursive: true });
  });

  test("an image is pulled into the layout that containerd reads, under its whole name", async () => {
    const into = join(ownCache(), "layout");
    await pull(registry, NAME, await registry.manifest(PILOT, "1.31.0"), into, () => undefined);
    const [entry] = JSON.parse(await readFile(join(into, "index.json"), "utf8")).manifests;
    expect(entry.annotations["io.containerd.image.name"]).toBe(NAME);
    const blob = async (of: string) => readFile(join(into, "blobs/sha256", of.replace("sha256:", "")));
    const manifest = JSON.parse(String(await blob(entry.digest)));
    expect(await blob(manifest.layers[0].digest)).toEqual(LAYER);
    expect(JSON.parse(String(await blob(manifest.config.digest)))).toEqual(CONFIG);
  });

  test("a pinned digest finds the image", async () => {
    expect((await registry.manifest(PILOT, digest)).digest).toBe(digest);
  });

  test("a tag or a digest that is not there is named", async () => {
    await expect(registry.manifest(PILOT, "9.9.9")).rejects.toThrow(/manifests\/9\.9\.9: 404$/);
    await expect(registry.manifest(PILOT, sha256("other"))).rejects.toThrow(/404$/);
  });

  test("an image of another processor is refused", async () => {
    const arm = { config: CONFIG, layer: LAYER, architecture: "arm64" };
    await server.putImage("docker.io/istio/pilot", "arm", arm);
    const index = await registry.manifest(PILOT, "arm");
    const into = join(ownCache(), "layout");
    await expect(pull(registry, NAME, index, into, () => undefined)).rejects.toThrow(
      "istio/pilot:1.31.0 is not made for linux/amd64",
    );
  });

  describe("signatures", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = publicKey.export({ type: "spki", format: "pem" }).toString();

    /** Stores a signature as cosign does. @param of digest that the signed text names */
    async function signImage(of: string): Promise<void> {
      const identity = { "docker-reference": "docker.io/istio/pilot" };
      const critical = {
        identity,
        image: { "docker-manifest-digest": of },
        type: "cosign container image signature",
      };
      const payload = Buffer.from(JSON.stringify({ critical, optional: null }));
      const layer = await server.putBlob("docker.io/istio/pilot", payload, PAYLOAD);
      const signature = sign("sha256", payload, privateKey).toString("base64");
      await server.putManifest("docker.io/istio/pilot", `${digest.replace(":", "-")}.sig`, {
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: await server.putBlob(
          "docker.io/istio/pilot",
          Buffer.from("{}"),
          "application/vnd.oci.image.config.v1+json",
        ),
        layers: [{ ...layer, annotations: { "dev.cosignproject.cosign/signature": signature } }],
      });
    }

    test("the publisher's signature of this digest is accepted", async () => {
      await signImage(digest);
      await requireSignature(registry, NAME, digest, key);
    });

    test("a signature of another digest, and one of another key, are refused", async () => {
      await signImage(sha256("another image"));
      await expect(requireSignature(registry, NAME, digest, key)).rejects.toThrow(/has no valid signature/);
      await signImage(digest);
      const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
      const pem = other.export({ type: "spki", format: "pem" }).toString();
      await expect(requireSignature(registry, NAME, digest, pem)).rejects.toThrow(/has no valid signature/);
    });

    test("an image without a signature is refused", async () => {
      await expect(requireSignature(registry, NAME, sha256("unsigned"), key)).rejects.toThrow(/\.sig: 404$/);
    });
  });
});

test("a manifest with a wrong digest is refused", async () => {
  const pinned = sha256("what was pinned");
  const mirror = await ArtifactServer.start({
    [`/v2/docker.io/istio/pilot/manifests/${pinned}`]: "something else",
  });
  const registry = new Registry(overHttp(httpClient(), "http:/"), `127.0.0.1:${mirror.port}`);
  await expect(registry.manifest(PILOT, pinned)).rejects.toThrow(/: it is not used$/);
  await mirror.stop();
});

test("a registry that requires a token gets one", async () => {
  const server = await ArtifactServer.start({ "/v2/docker.io/istio/pilot/manifests/1.31.0": "{}" });
  server.files["/token"] = JSON.stringify({ token: "abc" });
  server.challenge = `Bearer realm="${server.url}/token",service="registry",scope="pull"`;
  const registry = new Registry(overHttp(httpClient(), "http:/"), `127.0.0.1:${server.port}`);
  expect((await registry.manifest(PILOT, "1.31.0")).text).toBe("{}");
  expect(server.requests.at(-1)?.headers.authorization).toBe("Bearer abc");
  await server.stop();
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

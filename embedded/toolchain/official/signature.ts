/** Verifies signatures of images, which cosign keeps in the registry beside the image. */
import { verify } from "node:crypto";
import { type ImageName, parseImageName, type Registry } from "./registry.ts";
import { Unavailable } from "./source.ts";

const SIGNATURE = "dev.cosignproject.cosign/signature";

/**
 * Checks that the owner of the key has signed this digest.
 *
 * @param key public key, PEM
 * @throws Unavailable when there is no signature of that key
 */
export async function requireSignature(
  registry: Registry,
  name: string,
  digest: string,
  key: string,
): Promise<void> {
  const image = parseImageName(name);
  const { text } = await registry.manifest(image, `${digest.replace(":", "-")}.sig`);
  const { layers = [] } = JSON.parse(text) as {
    layers?: { digest: string; annotations?: Record<string, string> }[];
  };
  for (const { digest: payload, annotations } of layers) {
    const signature = annotations?.[SIGNATURE];
    if (signature && (await isSigned(registry, image, { payload, signature, digest, key }))) return;
  }
  throw new Unavailable(`${name} has no valid signature of its publisher: it is not used`, "file");
}

async function isSigned(
  registry: Registry,
  image: ImageName,
  signed: { payload: string; signature: string; digest: string; key: string },
): Promise<boolean> {
  const text = await registry.blobText(image, signed.payload);
  const valid = verify("sha256", Buffer.from(text), signed.key, Buffer.from(signed.signature, "base64"));
  const { critical } = JSON.parse(text) as { critical?: { image?: Record<string, string> } };
  return valid && critical?.image?.["docker-manifest-digest"] === signed.digest;
}

/** Chooses where official artifacts come from: the original hosts, or the mirror that LAB_MIRROR names. */
import { LabError } from "../../../clients/process.ts";
import { readText } from "./download.ts";
import { remembering } from "./reach.ts";
import { Registry } from "./registry.ts";
import { httpClient, overHttp, type Source, source, Unavailable } from "./source.ts";

/** Where official artifacts come from in this run. */
export interface Origin {
  /** Names the place, so that artifacts of another mirror are not mistaken for its own. */
  readonly place: string;
  readonly files: Source;
  readonly registry: Registry;
  /** @throws Unavailable */
  text(path: string): Promise<string>;
  /** Digests of a mirror's images; none for the original registries. */
  digests(): Promise<Map<string, string>>;
}

const ORIGINAL = "original";

/** The list of the images that a mirror serves under digests of its own. */
const DIGEST_LIST = "images.txt";

/**
 * @param anew tries hosts again that were out of reach today
 * @throws LabError when LAB_MIRROR or LAB_MIRROR_REGISTRY is not usable
 */
export async function officialOrigin({ anew = false, env = process.env } = {}): Promise<Origin> {
  const { LAB_MIRROR: mirror = "", LAB_MIRROR_REGISTRY: mirrorRegistry = "" } = env;
  const client = httpClient();
  const place = mirror || mirrorRegistry ? `${mirror} ${mirrorRegistry}` : ORIGINAL;
  // A mirror's failures are not remembered: it can be repaired a minute later.
  const files = mirror ? await source(client, mirror) : remembering(await source(client, ""), { anew });
  const text = (path: string) => readText(path, (offset) => files.open(path, offset));
  return {
    place,
    files,
    registry: registry(mirror, mirrorRegistry),
    text,
    digests: async () => {
      if (!mirror) return new Map<string, string>();
      return parseDigests(await text(DIGEST_LIST).catch(emptyWhereMissing));
    },
  };

  function registry(files: string, images: string): Registry {
    if (!images && !files) return new Registry(remembering(overHttp(client, "https:/"), { anew }));
    const match = /^(?:(https?):\/\/)?([^/]+)\/*$/.exec(images);
    if (images && !match)
      throw new LabError(`LAB_MIRROR_REGISTRY is "${images}": it has to be HOST:PORT, or http://HOST:PORT`);
    const [, scheme = "https", host = "none"] = match ?? [];
    const source = images ? overHttp(client, `${scheme}:/`) : noRegistry;
    return new Registry(source, host);
  }
}

/** With a mirror of files alone, the original registries are behind the same wall. */
const noRegistry: Source = {
  open: async () => {
    throw new Unavailable("LAB_MIRROR_REGISTRY is not set", "request");
  },
};

function emptyWhereMissing(error: unknown): string {
  if (error instanceof Unavailable && error.scope === "file") return "";
  throw error;
}

/** The lines of a mirror's list of images: `sha256:… docker.io/istio/pilot:1.31.0`. */
function parseDigests(text: string): Map<string, string> {
  const lines = text.split("\n").map((line) => line.trim());
  return new Map(
    lines
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => {
        const [digest = "", name = ""] = line.split(/\s+/);
        if (!/^sha256:[0-9a-f]{64}$/.test(digest) || !name)
          throw new Unavailable(`the mirror's list of images has the line "${line}"`, "file");
        return [name, digest];
      }),
  );
}

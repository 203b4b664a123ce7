/**
 * Downloads into the cache. A download is verified, continues after a cut, and appears only when complete.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open as openFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { isInterrupted, LabError } from "../../../clients/process.ts";
import { cacheHome } from "../../host/instance.ts";
import { type Opened, reasonOf, Unavailable } from "./source.ts";

/** How many cut connections a download survives. */
const ATTEMPTS = 3;
/** Most bytes of a list of checksums or a manifest. */
const MOST_TEXT = 4_000_000;

/** Opens the file from that offset on. The answer can begin earlier. */
export type Open = (offset: number) => Promise<Opened>;

/**
 * Downloads a file and checks it.
 *
 * @param what names it in messages
 * @throws Unavailable when it is out of reach or is not what was published; `target` then does not exist
 */
export async function download(what: string, open: Open, target: string, sha256: string): Promise<void> {
  const part = join(cacheHome(), "downloads", `${sha256}.part`);
  await mkdir(dirname(part), { recursive: true });
  await mkdir(dirname(target), { recursive: true });
  const resumed = (await sizeOf(part)) > 0;
  await receive(what, open, part);
  let found = await sha256Of(part);
  if (found !== sha256 && resumed) {
    // The part can be of another file.
    await rm(part);
    await receive(what, open, part);
    found = await sha256Of(part);
  }
  if (found !== sha256) {
    await rm(part);
    throw new Unavailable(`${what} has sha256 ${found}, and ${sha256} is published: it is not used`, "file");
  }
  await rename(part, target);
}

/** Reads a small file. @throws Unavailable */
export async function readText(what: string, open: Open): Promise<string> {
  const { body } = await open(0);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > MOST_TEXT) throw new Error(`it has more than ${MOST_TEXT} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw new Unavailable(`${what} was not received whole: ${reasonOf(error)}`, "host");
  }
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * Finds a file's sha256 in the text published beside it: the hash alone, or the lines of sha256sum.
 *
 * @throws Unavailable when the text does not have it
 */
export function checksumOf(file: string, published: string): string {
  const lines = published.trim().split("\n");
  const line = lines.length === 1 ? lines[0] : lines.find((each) => each.trim().endsWith(file));
  const hash = /^[0-9a-f]{64}(?=\s|$)/.exec(line?.trim() ?? "")?.[0];
  if (!hash) throw new Unavailable(`no sha256 of ${file} is published`, "file");
  return hash;
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** Appends to the part until it is complete. */
async function receive(what: string, open: Open, part: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { body, offset } = await open(await sizeOf(part));
    const file = await openFile(part, offset > 0 ? "r+" : "w");
    let position = offset;
    try {
      // Written piece by piece, so that the disk has the received part when the connection is cut.
      for await (const piece of body) {
        if (isInterrupted()) throw new LabError("download interrupted", 8);
        await file.write(piece, 0, piece.length, position);
        position += piece.length;
      }
      return;
    } catch (error) {
      // A full disk is not the network's fault.
      if (error instanceof LabError || isOfFileSystem(error)) throw error;
      if (attempt === ATTEMPTS)
        throw new Unavailable(`${what} was cut ${ATTEMPTS} times, at last by ${reasonOf(error)}`, "host");
    } finally {
      await file.close();
    }
  }
}

function isOfFileSystem(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EROFS", "EACCES"].includes(String((error as { code?: unknown }).code));
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/**
 * The cache of what the toolchain makes: one directory for each thing, named by a hash of its ingredients.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { requireRoom } from "../../host/disk.ts";
import { cacheHome } from "../../host/instance.ts";

/** An entry of the cache. */
export interface Entry {
  /** Folder of the cache. */
  readonly kind: string;
  readonly name: string;
  /** Everything that it is made of; the entry's key is their hash. */
  readonly ingredients: readonly string[];
  /** Megabytes of disk that the making needs, with what it leaves in other caches. */
  readonly room: number;
}

/**
 * Finds or makes a directory of the cache, under a key that covers all its ingredients.
 *
 * @throws LabError when it has to be made and the disk has no room for it
 */
export async function cached(
  { kind, name, ingredients, room }: Entry,
  make: (into: string) => Promise<void>,
): Promise<string> {
  const key = createHash("sha256").update(ingredients.join("\0")).digest("hex").slice(0, 12);
  const shelf = join(cacheHome(), kind);
  const entry = join(shelf, `${name}-${key}`);
  if (existsSync(entry)) return entry;
  await requireRoom(shelf, room, "XDG_CACHE_HOME");
  await mkdir(shelf, { recursive: true });
  const partial = join(shelf, `.${name}-${key}.partial`);
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial);
  await make(partial);
  await rename(partial, entry);
  await removeOlder(shelf, name, `${name}-${key}`);
  return entry;
}

/** The content of files as one text, to be part of a key. */
export async function contentOf(...files: string[]): Promise<string> {
  const parts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return parts.join("\0");
}

async function removeOlder(shelf: string, name: string, keep: string): Promise<void> {
  const older = (await readdir(shelf)).filter(
    (entry) => entry !== keep && /^-[0-9a-f]{12}$/.test(entry.slice(name.length)) && entry.startsWith(name),
  );
  await Promise.all(older.map((entry) => rm(join(shelf, entry), { recursive: true, force: true })));
}

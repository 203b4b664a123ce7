/**
 * Remembers for a day which hosts and files are out of reach, so that an `up` does not wait for them again.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheHome } from "../../host/instance.ts";
import { type Source, Unavailable } from "./source.ts";

const DAY = 24 * 3_600_000;

interface Refusal {
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/**
 * A source that fails at once where the same host or file failed within a day.
 *
 * @param anew tries all the same
 */
export function remembering(source: Source, { anew = false, now = Date.now } = {}): Source {
  const file = join(cacheHome(), "unavailable.json");
  const shared = memories.get(file) ?? { refusals: read(file), writing: Promise.resolve() };
  memories.set(file, shared);
  // One run tries a source only once, also with `anew`.
  const own = new WeakSet<Refusal>();
  const keysOf = (path: string) => [path.split("/")[0] ?? "", path] as const;
  return {
    async open(path, offset, headers) {
      const memory = await shared.refusals;
      const [host, whole] = keysOf(path);
      const refusal = memory[host] ?? memory[whole];
      const fresh = refusal !== undefined && now() - refusal.at < DAY;
      const isOwn = refusal !== undefined && own.has(refusal);
      if (refusal && fresh && (!anew || isOwn))
        throw new Unavailable(refusal.reason, memory[host] ? "host" : "file");
      try {
        return await source.open(path, offset, headers);
      } catch (error) {
        if (error instanceof Unavailable && error.scope !== "request") {
          const made: Refusal = { reason: error.message, at: now() };
          own.add(made);
          memory[error.scope === "host" ? host : whole] = made;
          shared.writing = shared.writing.then(() => write(file, memory));
          await shared.writing;
        }
        throw error;
      }
    },
  };
}

/** The content of each file of refusals, once for all sources. */
const memories = new Map<string, { refusals: Promise<Record<string, Refusal>>; writing: Promise<void> }>();

async function read(file: string): Promise<Record<string, Refusal>> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Record<string, Refusal>;
  } catch {
    return {};
  }
}

async function write(file: string, memory: Record<string, Refusal>): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.partial`, JSON.stringify(memory, null, 1));
  await rename(`${file}.partial`, file);
}

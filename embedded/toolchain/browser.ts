import { LabError, passThrough, succeeds } from "../run.ts";

/** Debian's headless-capable browser. */
const PACKAGE = "chromium";

/**
 * Finds Chromium on PATH, or installs Debian's package; only tests need it.
 *
 * @throws LabError when it cannot be installed.
 */
export async function ensureBrowser(): Promise<string> {
  if (await succeeds(PACKAGE, ["--version"])) return PACKAGE;
  console.error(`lab: will install\n  - Debian package ${PACKAGE}, for the tests alone`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [["update"], ["install", "--no-install-recommends", "--yes", PACKAGE]]) {
    const stdout = process.stderr;
    if (
      (await passThrough("apt-get", ["-qq", ...args], {
        env,
        stdin: "ignore",
        stdout,
        stderr: "inherit",
      })) !== 0
    )
      throw new LabError(`${PACKAGE}, which the tests open the page with, cannot be installed: see above`);
  }
  return PACKAGE;
}

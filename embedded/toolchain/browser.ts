/** The browser in which the tests open the lab's pages. */
import { LabError, passThrough, succeeds } from "../../clients/process.ts";

/** The name of Debian's package and of its command. */
const CHROMIUM = "chromium";

/**
 * Finds Chromium on PATH, or installs Debian's package; only tests need it.
 *
 * @throws LabError when it cannot be installed; apt has then printed why.
 */
export async function ensureBrowser(): Promise<string> {
  if (await succeeds(CHROMIUM, ["--version"])) return CHROMIUM;
  console.error(`lab: will install\n  - Debian package ${CHROMIUM}, for the tests alone`);
  await apt("update");
  await apt("install", "--no-install-recommends", "--yes", CHROMIUM);
  return CHROMIUM;
}

/** Standard output is for data: all that apt prints goes to standard error. */
async function apt(...args: string[]): Promise<void> {
  const exitCode = await passThrough("apt-get", ["-qq", ...args], {
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", process.stderr, "inherit"],
  });
  if (exitCode !== 0)
    throw new LabError(`${CHROMIUM}, in which the tests open the page, cannot be installed: see above`);
}

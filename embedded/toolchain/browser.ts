/** Finds or installs the browser in which the tests open the lab's pages. */
import { LabError, passThrough, succeeds } from "../../clients/process.ts";

/** The name of Debian's package and of its command. */
const CHROMIUM = "chromium";

/**
 * Finds Chromium on PATH, or installs Debian's package; only tests need it.
 *
 * @throws LabError when it cannot be installed; apt has printed the reason
 */
export async function ensureBrowser(): Promise<string> {
  if (await succeeds(CHROMIUM, ["--version"])) return CHROMIUM;
  await installPackages("the browser of the tests", [CHROMIUM]);
  return CHROMIUM;
}

/**
 * Installs Debian packages that only tests need, after naming them.
 *
 * @throws LabError when they cannot be installed; apt has printed the reason
 */
export async function installPackages(purpose: string, packages: readonly string[]): Promise<void> {
  const names = packages.join(" ");
  console.error(`lab: will install\n  - Debian package ${names}, for the tests alone`);
  const fault = `${names}, for ${purpose}, cannot be installed`;
  await apt(fault, "update");
  await apt(fault, "install", "--no-install-recommends", "--yes", ...packages);
}

/** Standard output is for data, so apt's output goes to standard error. */
async function apt(fault: string, ...args: string[]): Promise<void> {
  const exitCode = await passThrough("apt-get", ["-qq", ...args], {
    env: { DEBIAN_FRONTEND: "noninteractive", SYSTEMD_OFFLINE: "1", NEEDRESTART_SUSPEND: "1" },
    stdio: ["ignore", process.stderr, "inherit"],
  });
  if (exitCode !== 0) throw new LabError(`${fault}: see above`);
}

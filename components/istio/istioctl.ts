/** The istioctl that installs Istio: on PATH, and of the configured minor version. */
import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import type { Findings, MachineContext } from "../../preflight/capability.ts";
import { minorOf } from "./versions.ts";

/** What the check of istioctl needs of the configuration. */
export interface IstioctlNeeds {
  readonly istio: {
    readonly version: string;
    readonly manage: boolean;
  };
}

/** Where Istio is not installed by this stack, istioctl is not needed. */
export async function checkIstioctl({ config, signal }: MachineContext<IstioctlNeeds>): Promise<Findings> {
  const { version, manage } = config.istio;
  const message = manage ? await whyNot(version, signal) : undefined;
  return { faults: message ? [{ key: "istio.version", message }] : [] };
}

async function whyNot(version: string, signal: AbortSignal): Promise<string | undefined> {
  if (!isOnPath("istioctl")) {
    return (
      `istioctl is not on PATH; get version ${version}: curl -L https://istio.io/downloadIstio | ` +
      `ISTIO_VERSION=${version} sh -, then add istio-${version}/bin to PATH`
    );
  }
  const found = await istioctlVersion(signal);
  if (minorOf(found) === minorOf(version)) return undefined;
  return (
    `istioctl on PATH is version ${found || "unknown"}, and istio.version is ${version}: set ` +
    "istio.version to the former, or get the other istioctl from " +
    `https://github.com/istio/istio/releases/tag/${version}`
  );
}

/** As istioctl prints it; empty where it prints none. */
async function istioctlVersion(signal: AbortSignal): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)("istioctl", ["version", "--remote=false"], { signal });
    return /version: *(\S+)/.exec(stdout)?.[1] ?? "";
  } catch {
    return "";
  }
}

function isOnPath(command: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((directory) => {
    const path = join(directory, command);
    try {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  });
}

/** The command line tools that the components run. */
import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { minorOf } from "../components/istio/versions.ts";

export interface ToolsArgs {
  /** Istio's version; istioctl must be of the same minor. */
  readonly version: string;
  /** False: nothing is installed, and istioctl is not needed. */
  readonly manage: boolean;
}

/** What is wrong with istioctl, one a line; a missing kubectl is an error of the API's client. */
export async function toolFaults({ version, manage }: ToolsArgs, signal: AbortSignal): Promise<string[]> {
  return manage ? await istioctlFaults(version, signal) : [];
}

async function istioctlFaults(version: string, signal: AbortSignal): Promise<string[]> {
  if (!onPath("istioctl")) {
    return [
      `istioctl is not on PATH; get version ${version}: curl -L https://istio.io/downloadIstio | ISTIO_VERSION=${version} sh -, then add istio-${version}/bin to PATH`,
    ];
  }
  const found = await istioctlVersion(signal);
  if (minorOf(found) === minorOf(version)) return [];
  return [
    `istioctl on PATH is version ${found || "unknown"}, and istio.version is ${version}: set istio.version to the former, or get the other istioctl from https://github.com/istio/istio/releases/tag/${version}`,
  ];
}

/** As istioctl prints it; empty when it does not. */
async function istioctlVersion(signal: AbortSignal): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)("istioctl", ["version", "--remote=false"], { signal });
    return /version: *(\S+)/.exec(stdout)?.[1] ?? "";
  } catch {
    return "";
  }
}

function onPath(command: string): boolean {
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

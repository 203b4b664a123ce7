/** The Kubernetes provider's own arguments: which cluster, and how objects are written. */
import { mkdtempSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { equal, type Properties, reveal, unsupported, type Value } from "../values.ts";

export interface Config {
  /** Path or text; empty: as kubectl, by KUBECONFIG or `~/.kube/config`. */
  readonly kubeconfig: string;
  readonly context: string;
  readonly deleteUnreachable: boolean;
  /** A field that another manager has set to another value is overwritten; otherwise it is a conflict. */
  readonly patchForce: boolean;
  /** An argument that the stand-in needs to check an object. A refresh and a destroy do without it. */
  readonly lacking: string | undefined;
}

/** Arguments that the program sets to true. The stand-in supports no other value. */
const ALWAYS = [
  "enableConfigMapMutable",
  "enableSecretMutable",
  "enableServerSideApply",
  "upsertExistingObjects",
];
const KNOWN = [
  ...["clusterIdentifier", "context", "deleteUnreachable", "enablePatchForce", "kubeconfig", "version"],
  ...ALWAYS,
];

/**
 * Arguments other than strings arrive as JSON text.
 * @throws Error for an argument that the stand-in does not support
 */
export function readConfig(args: Properties): Config {
  const plain = reveal(args) as Properties;
  const other = Object.keys(plain).find((key) => !KNOWN.includes(key) && !isOff(plain[key]));
  if (other !== undefined) throw new Error(unsupported(`provider argument ${other}`));
  const off = ALWAYS.find((key) => plain[key] !== undefined && String(plain[key]) !== "true");
  if (off !== undefined) throw new Error(unsupported(`provider argument ${off}: false`));
  const text = (key: string) => (typeof plain[key] === "string" ? plain[key] : "");
  const { deleteUnreachable = process.env.PULUMI_K8S_DELETE_UNREACHABLE } = plain;
  return {
    kubeconfig: text("kubeconfig"),
    context: text("context"),
    deleteUnreachable: String(deleteUnreachable) === "true",
    patchForce: String(plain.enablePatchForce) === "true",
    lacking: ALWAYS.find((key) => plain[key] === undefined),
  };
}

function isOff(value: Value | undefined): boolean {
  return value === undefined || value === "" || String(value) === "false";
}

/** A change of the cluster replaces everything. The program names each cluster by `clusterIdentifier`. */
export function configReplaces(olds: Properties, news: Properties): string[] {
  const [before, after] = [olds.clusterIdentifier, news.clusterIdentifier];
  return before === undefined || after === undefined || equal(before, after) ? [] : ["clusterIdentifier"];
}

/** Paths in a kubeconfig, by list and by the member that holds them. */
const PATHS: readonly [list: string, member: string, keys: readonly string[]][] = [
  ["clusters", "cluster", ["certificate-authority"]],
  ["users", "user", ["client-certificate", "client-key", "tokenFile"]],
];

/**
 * Writes the kubeconfig of the arguments to `$TMPDIR/kubeconfigXXXXXX` and leaves it there. The official
 * provider does so at each start, for Helm. Relative paths in it start from the working directory, as in the
 * official provider.
 * @throws in the official provider's words where it is neither a file nor a kubeconfig, such as a list of
 * files
 */
export function writeKubeconfig(kubeconfig: string): string {
  const config = parsed(contentOf(kubeconfig));
  if (config === undefined)
    throw new Error(
      "failed to parse kubeconfig data in `kubernetes:config:kubeconfig`- couldn't get version/kind; " +
        "json parse error: it is neither the path of a file nor a kubeconfig",
    );
  for (const [list, member, keys] of PATHS)
    for (const entry of entriesOf(config[list])) {
      const inner = entry[member] as Properties | undefined;
      for (const key of keys)
        if (typeof inner?.[key] === "string" && inner[key]) inner[key] = resolve(inner[key]);
    }
  // A free name: that of a directory that was made and removed just now.
  const file = mkdtempSync(join(tmpdir(), "kubeconfig"));
  rmdirSync(file);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600, flag: "wx" });
  return file;
}

function contentOf(kubeconfig: string): string {
  const path = kubeconfig.replace(/^~(?=\/|$)/, homedir());
  return statSync(path, { throwIfNoEntry: false })?.isFile() ? readFileSync(path, "utf8") : kubeconfig;
}

function parsed(text: string): Properties | undefined {
  try {
    const config: unknown = parse(text);
    return typeof config === "object" && config !== null ? (config as Properties) : undefined;
  } catch {
    return undefined;
  }
}

function entriesOf(list: unknown): Properties[] {
  return Array.isArray(list) ? (list as Properties[]) : [];
}

/** The Kubernetes provider's own arguments: which cluster, and how objects are written. */
import { mkdtempSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import {
  type Changes,
  containsUnknown,
  equal,
  type Properties,
  reveal,
  unsupported,
  type Value,
} from "../values.ts";

export interface Config {
  /** Path or text; empty: as kubectl, by KUBECONFIG or `~/.kube/config`. */
  readonly kubeconfig: string;
  readonly context: string;
  readonly cluster: string;
  readonly configMapMutable: boolean;
  readonly secretMutable: boolean;
  readonly patchForce: boolean;
  readonly upsert: boolean;
  readonly deleteUnreachable: boolean;
}

const TEXTS = ["kubeconfig", "context", "cluster"] as const;
const FLAGS = {
  enableConfigMapMutable: "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE",
  enableSecretMutable: "PULUMI_K8S_ENABLE_SECRET_MUTABLE",
  enablePatchForce: "PULUMI_K8S_ENABLE_PATCH_FORCE",
  upsertExistingObjects: "PULUMI_K8S_UPSERT_EXISTING_OBJECTS",
  deleteUnreachable: "PULUMI_K8S_DELETE_UNREACHABLE",
} as const;
const OTHERS = ["clusterIdentifier", "version"];

/**
 * Arguments arrive as JSON text where they are no strings.
 * @throws where an argument is set that the stand-in does not know
 */
export function readConfig(args: Properties): Config {
  const plain = reveal(args) as Properties;
  const known: readonly string[] = [...TEXTS, ...Object.keys(FLAGS), ...OTHERS];
  const other = Object.keys(plain).find((key) => !known.includes(key) && !isDefault(key, plain[key]));
  if (other !== undefined) throw new Error(unsupported(`provider argument ${other}`));
  const text = (key: string) => (typeof plain[key] === "string" ? plain[key] : "");
  const flag = (key: keyof typeof FLAGS) =>
    (plain[key] === undefined ? process.env[FLAGS[key]] : String(plain[key])) === "true";
  return {
    kubeconfig: text("kubeconfig"),
    context: text("context"),
    cluster: text("cluster"),
    configMapMutable: flag("enableConfigMapMutable"),
    secretMutable: flag("enableSecretMutable"),
    patchForce: flag("enablePatchForce"),
    upsert: flag("upsertExistingObjects"),
    deleteUnreachable: flag("deleteUnreachable"),
  };
}

function isDefault(key: string, value: Value | undefined): boolean {
  return (
    value === undefined ||
    value === "" ||
    String(value) === (key === "enableServerSideApply" ? "true" : "false")
  );
}

/** Another cluster replaces everything; where `clusterIdentifier` is given, it alone decides. */
export function configReplaces(olds: Properties, news: Properties, changed: Changes): string[] {
  const [before, after] = [olds.clusterIdentifier, news.clusterIdentifier];
  if (before !== undefined && after !== undefined) return equal(before, after) ? [] : ["clusterIdentifier"];
  const unknown = TEXTS.filter((key) => news[key] !== undefined && containsUnknown(news[key]));
  if (unknown.length > 0) return unknown;
  const [was, is] = [olds, news].map((args) => activeCluster(reveal(args) as Properties));
  if (was === undefined || is === undefined || equal(was, is)) return [];
  return TEXTS.filter((key) => changed.has(key));
}

/**
 * The entry of the cluster in use, in a kubeconfig that is an argument; the environment's is not looked at.
 */
function activeCluster({ kubeconfig, context, cluster }: Properties): Value | undefined {
  if (typeof kubeconfig !== "string" || kubeconfig === "") return undefined;
  const config = parsed(contentOf(kubeconfig));
  const entry = (list: string, name: Value | undefined) =>
    entriesOf(config?.[list]).find((each) => each.name === name);
  const chosen = entry("contexts", context || config?.["current-context"])?.context as Properties | undefined;
  return entry("clusters", cluster || chosen?.cluster)?.cluster as Value | undefined;
}

/** Paths in a kubeconfig, by list and by the member that holds them. */
const PATHS: readonly [list: string, member: string, keys: readonly string[]][] = [
  ["clusters", "cluster", ["certificate-authority"]],
  ["users", "user", ["client-certificate", "client-key", "tokenFile"]],
];

/**
 * Writes a kubeconfig that is an argument to `$TMPDIR/kubeconfigXXXXXX`, as the official provider does at
 * each start, for Helm, and leaves there. Relative paths in it lead from the working directory, as they do
 * there.
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
  // A name that is free: that of a directory which was just made and removed.
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

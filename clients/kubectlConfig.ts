/** Reads the kubeconfig through kubectl: the context, its cluster, its namespace. */
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { homedir } from "node:os";
import { delimiter, dirname, isAbsolute, join, resolve } from "node:path";
import { promisify } from "node:util";

/** Chooses a cluster and a user. */
export interface Selection {
  /**
   * Path of the kubeconfig, or its content. @default KUBECONFIG (a list of paths is merged), or
   * ~/.kube/config
   */
  readonly kubeconfig?: string | undefined;
  /** Context in it. @default the current one */
  readonly context?: string | undefined;
  /** Cluster in it. @default the context's */
  readonly cluster?: string | undefined;
}

/** The part of a kubeconfig that a selection chooses. */
export interface Target {
  /** `cluster SERVER (kubeconfig FILE, context CONTEXT)`, for messages. */
  readonly where: string;
  /** The kubeconfig's path or paths; `given as text`. */
  readonly files: string;
  /** Empty: none is chosen. */
  readonly context: string;
  /** Names of all contexts. */
  readonly contexts: readonly string[];
  /** URL of the API server; empty where the kubeconfig names none. */
  readonly server: string;
  /** The whole entry of the cluster, without secrets; undefined where there is none. */
  readonly cluster: unknown;
  /** The namespace of objects that name none; empty where the context names none. */
  readonly namespace: string;
  /** Command of the credential plugin; empty where the user has none. */
  readonly credentialPlugin: string;
  /** True: it names files by paths relative to its own directory. */
  readonly hasRelativePaths: boolean;
}

interface View {
  readonly "current-context"?: string;
  readonly contexts?:
    | readonly Named<"context", { cluster?: string; user?: string; namespace?: string }>[]
    | null;
  readonly clusters?: readonly Named<"cluster", Cluster>[] | null;
  readonly users?: readonly Named<"user", User>[] | null;
}
type Cluster = Record<string, unknown> & { readonly server?: string };
type User = Record<string, unknown> & {
  readonly exec?: (Record<string, unknown> & { readonly command?: string }) | null;
};
type Named<K extends string, T> = { readonly name: string } & { readonly [N in K]?: T | null };

/**
 * The selected cluster and user, as kubectl reads them.
 * @param selection its kubeconfig is a path, not a text
 * @throws Error with kubectl's words where it cannot read the kubeconfig
 */
export async function readTarget(selection: Selection, signal?: AbortSignal): Promise<Target> {
  const view = await viewOf(["--output=json"], selection.kubeconfig, signal);
  const contexts = view.contexts ?? [];
  const context = selection.context || view["current-context"] || "";
  const chosen = contexts.find(({ name }) => name === context)?.context ?? {};
  const clusterName = selection.cluster || chosen.cluster;
  const cluster = view.clusters?.find(({ name }) => name === clusterName)?.cluster ?? undefined;
  const user = view.users?.find(({ name }) => name === chosen.user)?.user ?? {};
  const files = selection.kubeconfig || process.env.KUBECONFIG || join(homedir(), ".kube", "config");
  const server = cluster?.server ?? "";
  return {
    where: `cluster ${server || "without an address"} (kubeconfig ${files}, context ${context || "none"})`,
    files: files.split(delimiter).filter(Boolean).join(delimiter),
    context,
    contexts: contexts.map(({ name }) => name),
    server,
    cluster,
    namespace: chosen.namespace ?? "",
    credentialPlugin: user.exec?.command ?? "",
    hasRelativePaths: pathsOf({ cluster, user }).some(({ path }) => !isAbsolute(path)),
  };
}

/**
 * The selection as a kubeconfig of its own, with absolute paths, for a reader that does not know the file's
 * directory.
 * @param selection its kubeconfig is the path of one file
 */
export async function withAbsolutePaths(
  { kubeconfig = "", context }: Selection,
  signal?: AbortSignal,
): Promise<string> {
  const args = ["--raw", "--minify", "--output=json", ...(context ? [`--context=${context}`] : [])];
  const view = await viewOf(args, kubeconfig, signal);
  const [cluster, user] = [view.clusters?.[0]?.cluster ?? undefined, view.users?.[0]?.user ?? undefined];
  for (const { entry, key, path } of pathsOf({ cluster, user }))
    entry[key] = resolve(dirname(kubeconfig), path);
  return JSON.stringify(view);
}

/** The files that a cluster and a user name. A plugin without a slash is looked up on PATH. */
function pathsOf({ cluster, user }: { cluster?: Cluster | undefined; user?: User | undefined }) {
  const candidates: [Record<string, unknown> | null | undefined, string][] = [
    [cluster, "certificate-authority"],
    [user, "client-certificate"],
    [user, "client-key"],
    [user, "tokenFile"],
    [user?.exec, "command"],
  ];
  return candidates.flatMap(([entry, key]) => {
    const path = entry?.[key];
    if (!entry || typeof path !== "string" || path === "") return [];
    return key === "command" && !path.includes("/") ? [] : [{ entry, key, path }];
  });
}

/** When the certificate of the selection's user expires; undefined where there is no readable one. */
export async function certificateExpiry(
  { kubeconfig, context }: Selection,
  signal?: AbortSignal,
): Promise<Date | undefined> {
  try {
    const args = [
      "--raw",
      "--minify",
      "--flatten",
      "--output=jsonpath={.users[0].user.client-certificate-data}",
    ];
    const { stdout } = await kubectlConfig(
      [...args, ...(context ? [`--context=${context}`] : [])],
      kubeconfig,
      signal,
    );
    return stdout ? new X509Certificate(Buffer.from(stdout, "base64")).validToDate : undefined;
  } catch {
    return undefined;
  }
}

/** Arguments of kubectl that choose the cluster. */
export const selectionArgs = ({ kubeconfig, context, cluster }: Selection): string[] => [
  ...(kubeconfig ? [`--kubeconfig=${kubeconfig}`] : []),
  ...(context ? [`--context=${context}`] : []),
  ...(cluster ? [`--cluster=${cluster}`] : []),
];

async function viewOf(
  args: readonly string[],
  kubeconfig: string | undefined,
  signal?: AbortSignal,
): Promise<View> {
  const { stdout } = await kubectlConfig(args, kubeconfig, signal);
  return JSON.parse(stdout) as View;
}

function kubectlConfig(args: readonly string[], kubeconfig: string | undefined, signal?: AbortSignal) {
  return promisify(execFile)("kubectl", ["config", "view", ...args, ...selectionArgs({ kubeconfig })], {
    signal,
    maxBuffer: 64 * 1024 * 1024,
  });
}

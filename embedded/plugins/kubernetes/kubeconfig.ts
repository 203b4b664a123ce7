/** Which API server to talk to and as whom, from a kubeconfig. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

/** The parts of a kubeconfig that are read here; names as in the file. */
interface Kubeconfig {
  "current-context"?: string;
  clusters?: { name: string; cluster?: Cluster }[];
  contexts?: { name: string; context?: { cluster?: string; user?: string; namespace?: string } }[];
  users?: { name: string; user?: User }[];
}
interface Cluster {
  server?: string;
  "certificate-authority"?: string;
  "certificate-authority-data"?: string;
  "insecure-skip-tls-verify"?: boolean;
  "tls-server-name"?: string;
}
interface User {
  "client-certificate"?: string;
  "client-certificate-data"?: string;
  "client-key"?: string;
  "client-key-data"?: string;
  token?: string;
  tokenFile?: string;
  username?: string;
  password?: string;
  exec?: { command: string; args?: string[]; env?: { name: string; value: string }[]; apiVersion?: string };
  "auth-provider"?: unknown;
}

export interface Selection {
  /** A path, several paths as in $KUBECONFIG, or the content; empty for $KUBECONFIG and then ~/.kube/config. */
  kubeconfig?: string;
  /** Instead of the current context. */
  context?: string;
  /** Instead of the context's cluster. */
  cluster?: string;
}

/** How to reach and address one API server. */
export interface Access {
  server: URL;
  /** Where objects go that name no namespace; undefined when the context says nothing. */
  namespace: string | undefined;
  tls: {
    ca?: Buffer;
    cert?: Buffer;
    key?: Buffer;
    servername?: string;
    rejectUnauthorized: boolean;
  };
  /** The Authorization header, if any. */
  authorization: string | undefined;
}

/** @throws when the kubeconfig, the context, its cluster or its user is missing */
export async function loadAccess(selection: Selection): Promise<Access> {
  const { config, directory, origin } = await load(selection.kubeconfig);
  const { contextName, context, cluster } = active(config, selection, origin);
  if (cluster.server === undefined)
    throw new Error(`${origin}: context "${contextName}" names no API server`);
  const user = config.users?.find(({ name }) => name === context.user)?.user ?? {};
  if (user["auth-provider"] !== undefined)
    throw new Error(`${origin}: user "${context.user}" uses an auth-provider, which is not supported`);
  const credential = user.exec === undefined ? undefined : await runCredentialPlugin(user.exec);
  const material = (data: string | undefined, file: string | undefined) => {
    if (data !== undefined) return Buffer.from(data, "base64");
    return file === undefined ? undefined : readFileSync(resolve(directory, file));
  };
  return {
    server: new URL(cluster.server),
    namespace: context.namespace,
    tls: withoutUndefined({
      ca: material(cluster["certificate-authority-data"], cluster["certificate-authority"]),
      cert: credential?.cert ?? material(user["client-certificate-data"], user["client-certificate"]),
      key: credential?.key ?? material(user["client-key-data"], user["client-key"]),
      servername: cluster["tls-server-name"],
      rejectUnauthorized: cluster["insecure-skip-tls-verify"] !== true,
    }),
    authorization: authorization(user, directory, credential?.token),
  };
}

/** What tells one cluster from another as far as a kubeconfig can; undefined when it cannot be read. */
export async function activeCluster(selection: Selection): Promise<unknown> {
  try {
    const { config, origin } = await load(selection.kubeconfig);
    return active(config, selection, origin).cluster;
  } catch {
    return undefined;
  }
}

function active(config: Kubeconfig, selection: Selection, origin: string) {
  const contextName = selection.context || config["current-context"];
  if (!contextName) throw new Error(`${origin}: no current-context, and no context is configured`);
  const context = config.contexts?.find(({ name }) => name === contextName)?.context;
  if (context === undefined) throw new Error(`${origin}: context "${contextName}" does not exist`);
  const clusterName = selection.cluster || context.cluster;
  const cluster = config.clusters?.find(({ name }) => name === clusterName)?.cluster;
  if (cluster === undefined) throw new Error(`${origin}: cluster "${clusterName}" does not exist`);
  return { contextName, context, cluster };
}

interface Loaded {
  config: Kubeconfig;
  /** What relative paths in it are relative to. */
  directory: string;
  /** For messages. */
  origin: string;
}

async function load(given: string | undefined): Promise<Loaded> {
  // A tenth of this plugin's start-up time, and many an update never needs a server.
  const { parse } = await import("yaml");
  if (given?.includes("\n") || given?.trimStart().startsWith("{"))
    return { config: parse(given) as Kubeconfig, directory: process.cwd(), origin: "kubeconfig" };
  const paths = (given || process.env.KUBECONFIG || join(homedir(), ".kube", "config")).split(delimiter);
  const found = paths.map(expandHome).filter((path) => path !== "" && existsSync(path));
  const [first] = found;
  if (first === undefined) throw new Error(`kubeconfig ${paths.join(delimiter)} does not exist`);
  const configs = found.map((path) => (parse(readFileSync(path, "utf8")) ?? {}) as Kubeconfig);
  // As kubectl: entries of all files, and of two with one name the first.
  const config: Kubeconfig = {
    clusters: configs.flatMap(({ clusters }) => clusters ?? []),
    contexts: configs.flatMap(({ contexts }) => contexts ?? []),
    users: configs.flatMap(({ users }) => users ?? []),
  };
  const current = configs.find((each) => each["current-context"])?.["current-context"];
  if (current !== undefined) config["current-context"] = current;
  return { config, directory: dirname(resolve(first)), origin: `kubeconfig ${first}` };
}

function expandHome(path: string): string {
  return path.startsWith("~/") ? join(homedir(), path.slice(2)) : path;
}

function authorization(user: User, directory: string, execToken: string | undefined): string | undefined {
  const fileToken = user.tokenFile
    ? readFileSync(resolve(directory, user.tokenFile), "utf8").trim()
    : undefined;
  const token = execToken ?? user.token ?? fileToken;
  if (token) return `Bearer ${token}`;
  if (user.username === undefined) return undefined;
  return `Basic ${Buffer.from(`${user.username}:${user.password ?? ""}`).toString("base64")}`;
}

/** A program that prints an ExecCredential, as cloud providers' kubeconfigs have it. */
async function runCredentialPlugin({ command, args = [], env = [], apiVersion }: NonNullable<User["exec"]>) {
  const info = { apiVersion, kind: "ExecCredential", spec: { interactive: false } };
  const { stdout } = await promisify(execFile)(command, args, {
    env: {
      ...process.env,
      ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    },
  });
  const { status = {} } = JSON.parse(stdout) as { status?: Record<string, string | undefined> };
  const pem = (text: string | undefined) => (text === undefined ? undefined : Buffer.from(text));
  return { token: status.token, cert: pem(status.clientCertificateData), key: pem(status.clientKeyData) };
}

function withoutUndefined<T extends object>(object: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

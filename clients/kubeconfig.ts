/** Which API server to ask and as whom, read the way kubectl reads it. */
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { parse } from "yaml";
import { Fault, reason } from "../preflight/fault.ts";

export interface Selection {
  /**
   * Path of the kubeconfig, or its content; empty is KUBECONFIG (a list of paths is merged) or
   * ~/.kube/config.
   */
  readonly kubeconfig?: string;
  /** Context in it; empty is the current one. */
  readonly context?: string;
  /** Cluster in it; empty is the context's. */
  readonly cluster?: string;
}

/** How to reach one API server. */
export interface Access {
  readonly server: URL;
  /** `cluster SERVER (kubeconfig FILE, context CONTEXT)`, for messages. */
  readonly where: string;
  readonly context: string;
  /** Where the context has objects go that name no namespace. */
  readonly namespace: string | undefined;
  readonly tls: {
    readonly ca?: Buffer | undefined;
    readonly cert?: Buffer | undefined;
    readonly key?: Buffer | undefined;
    readonly servername?: string | undefined;
    readonly rejectUnauthorized: boolean;
  };
  /** Value of the Authorization header. */
  readonly authorization?: string | undefined;
  /** Proxy between here and the server. */
  readonly proxy?: string | undefined;
}

/**
 * @throws Fault when kubeconfig, context, cluster or user is missing or the user's certificate has expired.
 */
export async function loadAccess(selection: Selection, signal?: AbortSignal): Promise<Access> {
  const { config, files } = load(selection.kubeconfig ?? "");
  const { name: context, namespace, cluster, user } = selected(config, selection, files);
  const { entry, directory } = cluster;
  const where = `cluster ${entry.server} (kubeconfig ${files}, context ${context})`;
  const credential = await credentialOf(user, where, signal);
  const tls = {
    ca: material(entry["certificate-authority-data"], entry["certificate-authority"], directory),
    cert: credential.cert,
    key: credential.key,
    servername: entry["tls-server-name"],
    rejectUnauthorized: entry["insecure-skip-tls-verify"] !== true,
  };
  refuseExpired(tls.cert, where);
  return {
    server: new URL(entry.server ?? ""),
    where,
    context,
    namespace,
    tls,
    authorization: credential.authorization,
    proxy: entry["proxy-url"],
  };
}

/** What tells one cluster from another as far as a kubeconfig can; undefined when that cannot be read. */
export function clusterOf(selection: Selection): unknown {
  try {
    const { config, files } = load(selection.kubeconfig ?? "");
    return selected(config, selection, files).cluster.entry;
  } catch {
    return undefined;
  }
}

// ---- the files ----

/** The parts of a kubeconfig that are read here; names as in the file. */
interface Kubeconfig {
  readonly "current-context"?: string;
  readonly contexts?: readonly { name: string; context?: ContextEntry }[];
  readonly clusters?: readonly { name: string; cluster?: ClusterEntry }[];
  readonly users?: readonly { name: string; user?: UserEntry }[];
}

interface ContextEntry {
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}

interface ClusterEntry {
  readonly server?: string;
  readonly "certificate-authority"?: string;
  readonly "certificate-authority-data"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
  readonly "tls-server-name"?: string;
  readonly "proxy-url"?: string;
}

interface UserEntry {
  readonly "client-certificate"?: string;
  readonly "client-certificate-data"?: string;
  readonly "client-key"?: string;
  readonly "client-key-data"?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly username?: string;
  readonly password?: string;
  readonly exec?: ExecEntry;
  readonly "auth-provider"?: unknown;
}

interface ExecEntry {
  readonly command: string;
  readonly args?: readonly string[];
  readonly env?: readonly { name: string; value: string }[];
  readonly apiVersion?: string;
  readonly installHint?: string;
}

/** An entry, and the directory that paths in it are relative to. */
interface Placed<T> {
  readonly entry: T;
  readonly directory: string;
}

interface Merged {
  readonly current: string | undefined;
  readonly contexts: ReadonlyMap<string, ContextEntry>;
  readonly clusters: ReadonlyMap<string, Placed<ClusterEntry>>;
  readonly users: ReadonlyMap<string, Placed<UserEntry>>;
}

function load(kubeconfig: string): { config: Merged; files: string } {
  if (/^\s*\{|\n/.test(kubeconfig)) {
    const entry = readKubeconfig("given as text", () => kubeconfig);
    return { config: merge([{ entry, directory: process.cwd() }]), files: "given as text" };
  }
  const given = kubeconfig || process.env.KUBECONFIG || "";
  const paths = (given || join(homedir(), ".kube", "config"))
    .split(delimiter)
    .filter(Boolean)
    .map(expandHome);
  const found = kubeconfig ? paths : paths.filter((path) => existsSync(path));
  if (found.length === 0) {
    throw new Fault(
      given
        ? `there is no kubeconfig: KUBECONFIG names ${given}, which does not exist; set kubeconfig to the path of one`
        : "there is no kubeconfig: neither KUBECONFIG nor ~/.kube/config; set kubeconfig to the path of one",
    );
  }
  const configs = found.map((path) => ({
    entry: readKubeconfig(path, () => readFileSync(path, "utf8")),
    directory: dirname(resolve(path)),
  }));
  return { config: merge(configs), files: found.join(delimiter) };
}

/** As kubectl: the entries of all files, and of two with one name the first. */
function merge(configs: readonly Placed<Kubeconfig>[]): Merged {
  const contexts = new Map<string, ContextEntry>();
  const clusters = new Map<string, Placed<ClusterEntry>>();
  const users = new Map<string, Placed<UserEntry>>();
  let current: string | undefined;
  for (const { entry: config, directory } of configs) {
    current ||= config["current-context"];
    for (const { name, context } of config.contexts ?? []) setFirst(contexts, name, context ?? {});
    for (const { name, cluster } of config.clusters ?? [])
      setFirst(clusters, name, { entry: cluster ?? {}, directory });
    for (const { name, user } of config.users ?? []) setFirst(users, name, { entry: user ?? {}, directory });
  }
  return { current, contexts, clusters, users };
}

function readKubeconfig(origin: string, read: () => string): Kubeconfig {
  try {
    const config: unknown = parse(read());
    if (typeof config === "object" && config !== null) return config;
    throw new Error("it holds no clusters");
  } catch (error) {
    throw new Fault(
      `kubeconfig ${origin} cannot be read: ${reason(error)}; set kubeconfig to the path of one that can`,
    );
  }
}

function setFirst<T>(map: Map<string, T>, name: string, value: T): void {
  if (!map.has(name)) map.set(name, value);
}

const expandHome = (path: string) => (path.startsWith("~/") ? join(homedir(), path.slice(2)) : path);

function selected(config: Merged, wanted: Selection, files: string) {
  const name = wanted.context || config.current || "";
  const context = config.contexts.get(name);
  const cluster = config.clusters.get(wanted.cluster || context?.cluster || "");
  if (cluster?.entry.server && URL.canParse(cluster.entry.server)) {
    return {
      name,
      namespace: context?.namespace,
      cluster,
      user: config.users.get(context?.user ?? "") ?? { entry: {}, directory: cluster.directory },
    };
  }
  const known = [...config.contexts.keys()].join(", ") || "none";
  throw new Fault(
    `kubeconfig ${files} has no usable context ${name || "(no current context)"}; it has: ${known}; set context to one of them`,
  );
}

// ---- the user ----

interface Credential {
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
  readonly authorization?: string | undefined;
}

async function credentialOf(
  user: Placed<UserEntry>,
  where: string,
  signal: AbortSignal | undefined,
): Promise<Credential> {
  const { entry, directory } = user;
  if (entry.exec) return await runCredentialPlugin(entry.exec, directory, where, signal);
  if (entry["auth-provider"] !== undefined)
    throw new Fault(
      `${where}: its user has an auth-provider, which kubectl gave up in 1.26; give it an exec plugin instead`,
    );
  const token = entry.token ?? material(undefined, entry.tokenFile, directory)?.toString("utf8").trim();
  const password = Buffer.from(`${entry.username}:${entry.password ?? ""}`).toString("base64");
  return {
    cert: material(entry["client-certificate-data"], entry["client-certificate"], directory),
    key: material(entry["client-key-data"], entry["client-key"], directory),
    authorization: token ? `Bearer ${token}` : entry.username ? `Basic ${password}` : undefined,
  };
}

/** A program that prints an ExecCredential, as the kubeconfigs of cloud providers have it. */
async function runCredentialPlugin(
  { command, args = [], env = [], apiVersion, installHint }: ExecEntry,
  directory: string,
  where: string,
  signal: AbortSignal | undefined,
): Promise<Credential> {
  const info = { apiVersion, kind: "ExecCredential", spec: { interactive: false } };
  const program = /[\\/]/.test(command) ? resolve(directory, command) : command;
  try {
    const { stdout } = await promisify(execFile)(program, args, {
      signal,
      env: {
        ...process.env,
        ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
        KUBERNETES_EXEC_INFO: JSON.stringify(info),
      },
    });
    const { status = {} } = JSON.parse(stdout) as { status?: Record<string, string | undefined> };
    const pem = (text: string | undefined) => (text === undefined ? undefined : Buffer.from(text));
    return {
      cert: pem(status.clientCertificateData),
      key: pem(status.clientKeyData),
      authorization: status.token ? `Bearer ${status.token}` : undefined,
    };
  } catch (error) {
    // What the program printed may hold a credential: only the kind of its failure is told.
    const code = (error as { code?: unknown }).code ?? "no ExecCredential";
    const hint = installHint ? `; ${installHint.split("\n")[0]}` : "; run it by hand to see why";
    throw new Fault(`${where}: its credential plugin ${command} fails (${code})${hint}`);
  }
}

function material(data: string | undefined, file: string | undefined, directory: string): Buffer | undefined {
  if (data !== undefined) return Buffer.from(data, "base64");
  if (file === undefined) return undefined;
  const path = resolve(directory, file);
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Fault(`the kubeconfig names ${path}, which cannot be read: ${reason(error)}`);
  }
}

/** The server says no more than 401; the certificate itself says why. */
function refuseExpired(cert: Buffer | undefined, where: string): void {
  if (cert === undefined) return;
  const until = validUntil(cert, where);
  if (until.getTime() < Date.now()) {
    throw new Fault(
      `${where}: the user's certificate expired on ${until.toISOString()}; get a new kubeconfig from whoever runs the cluster`,
    );
  }
}

function validUntil(cert: Buffer, where: string): Date {
  try {
    return new X509Certificate(cert).validToDate;
  } catch (error) {
    throw new Fault(`${where}: the user's certificate cannot be read: ${reason(error)}`);
  }
}

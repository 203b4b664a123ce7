import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { isIP, isIPv4, isIPv6 } from "node:net";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

/** One version of the web application. */
export interface Version {
  /** DNS label, e.g. `v116`: names the Deployment (`nginx-v116`), the subset and the key in `weights`. */
  readonly name: string;
  /** Value of the pods' label `version`, e.g. `1.16`. */
  readonly version: string;
  /** Image reference, e.g. `nginx:1.16.1`. */
  readonly image: string;
  /** Pods of this version. */
  readonly replicas: number;
  /** What `/echo/test.txt` answers: the way to tell one version from another. */
  readonly page: string;
}

/** How Istio comes into the cluster. */
export interface IstioConfig {
  /** Istio's version; `istioctl` must be of the same minor. */
  readonly version: string;
  /** Installation profile. */
  readonly profile: string;
  /** Registry of Istio's images; undefined is istioctl's own. */
  readonly hub?: string | undefined;
  /** Tag of Istio's images; undefined is istioctl's own. */
  readonly tag?: string | undefined;
  /** Helm-style values handed to the charts. */
  readonly values: Record<string, unknown>;
  /** False: Istio is somebody else's; it is neither installed nor uninstalled. */
  readonly manage: boolean;
}

/** A cluster node, as the load balancer reaches it. */
export interface Node {
  /** Name of the node; becomes HAProxy's server name. */
  readonly name: string;
  /** IPv4 or IPv6 address, or a DNS name. */
  readonly address: string;
}

/** The machine with HAProxy. */
export interface LoadBalancer {
  /** Address or name for SSH. */
  readonly host: string;
  /** Port of sshd. */
  readonly port: number;
  /** User that may run `sudo -n`. */
  readonly user: string;
  /** The machine's public host key, `TYPE BASE64`. */
  readonly hostKey: string;
  /** Absolute path of the file HAProxy reads. */
  readonly configFile: string;
  /** Starts or reloads HAProxy where it is not under systemd; undefined is systemctl. */
  readonly reloadCommand?: string | undefined;
}

/** How port 443 is served. */
export interface Tls {
  /** Who holds the certificate: the load balancer (`terminate`) or the ingress gateway (`passthrough`). */
  readonly mode: "terminate" | "passthrough";
  /** True: port 80 answers with a redirect to https. */
  readonly redirect: boolean;
  /** Chain in PEM, the server's own certificate first. */
  readonly certificate: string;
  /** Its key, PKCS #8 in PEM, in plain: wrap it in a secret before it goes anywhere. */
  readonly key: string;
}

/** Where the load balancer listens for those who watch it. */
export interface Listen {
  /** IPv4 or IPv6 address of the load balancer. */
  readonly address: string;
  readonly port: number;
}

export interface Stats {
  /** HAProxy's own exporter, at `/metrics`. */
  readonly prometheus?: Listen | undefined;
  /** HAProxy's stats page; its password in plain: wrap it in a secret before it goes anywhere. */
  readonly page?: (Listen & { readonly user: string; readonly password: string }) | undefined;
}

/** The whole configuration, checked and with every default filled in. */
export interface LabConfig {
  /** Path of a kubeconfig; empty is the environment's. */
  readonly kubeconfig: string;
  /** Context in it; empty is the current one. */
  readonly context: string;
  /** Namespace of the application; it must exist. */
  readonly namespace: string;
  /** Host name that the application answers to. */
  readonly host: string;
  /** Host names that the Gateway lets in. */
  readonly gatewayHosts: readonly string[];
  readonly versions: readonly Version[];
  /** Version name to integer percent; sums to 100. */
  readonly weights: Readonly<Record<string, number>>;
  readonly istio: IstioConfig;
  /** Empty: the cluster's schedulable nodes. */
  readonly nodes: readonly Node[];
  readonly loadBalancer: LoadBalancer;
  /** Private key for `loadBalancer.user`, in plain: wrap it in a secret before it goes anywhere. */
  readonly loadBalancerPrivateKey: string;
  /** Undefined: port 80 only. */
  readonly tls?: Tls | undefined;
  readonly stats: Stats;
}

/** What is wrong with one key. */
export interface Fault {
  /** Path of the key, e.g. `versions[1].image`. */
  readonly key: string;
  /** One line: key, value, what would be right. */
  readonly message: string;
}

/** Every fault of a configuration at once. */
export class ConfigError extends Error {
  readonly faults: readonly Fault[];
  constructor(faults: readonly Fault[]) {
    super(faults.map((fault) => fault.message).join("\n"));
    this.name = "ConfigError";
    this.faults = faults;
  }
}

/**
 * Reads the stack's configuration.
 * @throws pulumi.RunError that lists every fault, one a line.
 */
export function loadConfig(): LabConfig {
  try {
    const raw = rawConfig(pulumi.runtime.allConfig(), pulumi.getProject());
    return parseConfig(raw, { plainSecrets: plainSecrets(Object.keys(raw), pulumi.getProject()) });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const count = error.faults.length === 1 ? "1 fault" : `${error.faults.length} faults`;
    const lines = error.faults.map((fault) => `  ${fault.message}`).join("\n");
    throw new pulumi.RunError(`The configuration of stack ${pulumi.getStack()} has ${count}:\n${lines}`);
  }
}

/**
 * Checks a configuration as Pulumi.yaml describes it and fills in the defaults.
 * @param raw key to value, objects and lists as such; a key that is absent gets its default.
 * @param options `now`: the time at which certificates have to be good; `plainSecrets`: keys of secrets that the stack's
 * settings hold in plain.
 * @throws ConfigError with every fault.
 */
export function parseConfig(
  raw: Readonly<Record<string, unknown>>,
  { now = new Date(), plainSecrets = [] }: { now?: Date; plainSecrets?: readonly string[] } = {},
): LabConfig {
  const faults: Fault[] = unknownKeys(Object.keys(raw), Object.keys(KEYS), "");
  faults.push(...plainSecrets.map(plainFault));
  const checked: { [K in Key]?: z.output<(typeof KEYS)[K]> } = {};
  for (const key of Object.keys(KEYS) as Key[]) {
    const result = KEYS[key].safeParse(raw[key]);
    if (result.success) Object.assign(checked, { [key]: result.data });
    else faults.push(...result.error.issues.flatMap((issue) => toFaults(key, raw[key], issue)));
  }
  const { host, gatewayHosts, weights, nodes } = checked;
  const versions = checked.versions && withPages(checked.versions, faults);
  if (host && gatewayHosts) faults.push(...hostFaults(host, gatewayHosts));
  if (versions) faults.push(...versionFaults(versions));
  if (nodes) faults.push(...nodeFaults(nodes));
  const names = versionNames(raw.versions ?? DEFAULT_VERSIONS);
  if (weights && names) faults.push(...weightFaults(weights, names));
  const tls = tlsOf(checked, now, faults);
  const stats = statsOf(checked, faults);
  if (faults.length > 0) throw new ConfigError(faults);
  const { tlsCertificate: _, tlsKey: __, statsPassword: ___, ...plain } = checked as Required<typeof checked>;
  return { ...plain, versions: versions as Version[], tls, stats };
}

/**
 * The project's own keys of Pulumi's flat string map, with JSON values parsed. An empty secret is one that is not set:
 * the engine takes no default for what the schema calls a secret, so Pulumi.yaml calls none so and this file checks.
 */
function rawConfig(all: Record<string, string>, project: string): Record<string, unknown> {
  const prefix = `${project}:`;
  const entries = Object.entries(all).filter(
    ([key, text]) => key.startsWith(prefix) && !(text === "" && SECRETS.has(key.slice(prefix.length))),
  );
  return Object.fromEntries(
    entries.map(([key, text]) => {
      const name = key.slice(prefix.length);
      return [name, STRUCTURED.has(name) ? parseJson(text) : text];
    }),
  );
}

/** Secrets among the keys that the stack's settings hold in plain; the engine lists those that it has decrypted. */
function plainSecrets(keys: readonly string[], project: string): string[] {
  const listed = process.env.PULUMI_CONFIG_SECRET_KEYS;
  if (listed === undefined) return [];
  const decrypted = new Set(JSON.parse(listed) as string[]);
  return keys.filter((key) => PRIVATE.has(key) && !decrypted.has(`${project}:${key}`));
}

/** Text that is no JSON stays text: the schema then says what would be right. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

// ---- what each value is ----

const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const IMAGE =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[a-f0-9]{64})?$/;
const HUB = /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const CONTROL = /\p{Cc}/u;

const isLabel = (text: string, longest = 63) => text.length <= longest && LABEL.test(text);

/** A DNS name as RFC 1123 has it, lower case; not something that only fails to be an IPv4 address. */
function isDnsName(text: string): boolean {
  const labels = text.split(".");
  return (
    text.length <= 253 && labels.every((label) => isLabel(label)) && !/^[0-9]+$/.test(labels.at(-1) ?? "")
  );
}

/** An address or a name; without IPv6 zones, which name an interface of one machine only. */
const isReachable = (text: string) => (isIP(text) > 0 && !text.includes("%")) || isDnsName(text);

const isGatewayHost = (text: string) =>
  text === "*" || isDnsName(text.startsWith("*.") ? text.slice(2) : text);

const isPath = (text: string) =>
  text.length <= 4096 &&
  /^(\/[A-Za-z0-9._-]+)+$/.test(text) &&
  !text.split("/").some((part) => /^\.+$/.test(part));

const isLabelValue = (text: string) =>
  text.length <= 63 && /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(text);

/** `TYPE BASE64`, where the bytes begin with the same type: what sshd publishes and ssh-keyscan prints. */
function isHostKey(text: string): boolean {
  const [type = "", body = ""] = text.trim().split(" ");
  if (!/^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521))$/.test(type)) return false;
  if (CONTROL.test(text.trim()) || !/^[A-Za-z0-9+/]+={0,2}$/.test(body)) return false;
  const bytes = Buffer.from(body, "base64");
  return (
    bytes.length > 40 &&
    bytes.readUInt32BE(0) === type.length &&
    bytes.toString("latin1", 4, 4 + type.length) === type
  );
}

const isPrivateKey = (text: string) =>
  /^-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\r?\n[A-Za-z0-9+/=\s:,-]+\r?\n-----END ([A-Z]+ )?PRIVATE KEY-----$/.test(
    text.trim(),
  );

/** True for a key that asks for a passphrase, which nobody could type during `pulumi up`. */
function hasPassphrase(text: string): boolean {
  if (/ENCRYPTED/.test(text)) return true;
  const body = text.replace(/-----[^-]+-----/g, "").replace(/\s/g, "");
  const bytes = Buffer.from(body, "base64").toString("latin1");
  return bytes.startsWith("openssh-key-v1\0") && !bytes.startsWith("openssh-key-v1\0\0\0\0\u0004none");
}

/** A string with its test; the message says what would be right, whatever is wrong. */
const text = (right: string, test: (value: string) => boolean) =>
  z.string({ error: right }).refine(test, { error: right });

const integer = (right: string, least: number, most: number) =>
  z
    .number({ error: right })
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, { error: right });

const KEYSCAN =
  "`ssh-keyscan -t ed25519 HOST` prints it after the host's name: give `TYPE BASE64`, and compare it with the machine's own /etc/ssh/ssh_host_ed25519_key.pub";

const versionSchema = z.strictObject(
  {
    name: text("give a DNS label of at most 57 characters, e.g. v116", (value) => isLabel(value, 57)),
    version: text('give a label value in quotes, e.g. "1.16"', isLabelValue),
    image: text(
      "give an image reference, e.g. nginx:1.16.1",
      (value) => value.length <= 512 && IMAGE.test(value),
    ),
    replicas: integer("give an integer from 1 to 1000", 1, 1000).default(3),
    page: text(
      "give a text of 1 to 65536 characters without control characters",
      (value) => value.length > 0 && value.length <= 65536 && !CONTROL.test(value.replace(/[\n\t]/g, "")),
    ).optional(),
  },
  { error: objectError("give an object with name, version and image") },
);

const nodeSchema = z.strictObject(
  {
    name: text("give the node's name, e.g. rancher-node02", isDnsName),
    address: text("give an IPv4 or IPv6 address or a DNS name", isReachable),
  },
  { error: objectError("give an object with name and address") },
);

/** Profiles of Istio 1.31 that leave the ingress gateway out; nothing in this config brings it back. */
const WITHOUT_GATEWAY = new Set(["ambient", "empty", "minimal", "openshift-ambient", "remote"]);

const istioSchema = z.strictObject(
  {
    version: text(
      "give a version, e.g. 1.31.0",
      (value) => value.length <= 64 && /^[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.-]+)?$/.test(value),
    ).default("1.31.0"),
    profile: text(
      "give the name of a profile that has an ingress gateway, e.g. demo or default",
      (value) => isLabel(value) && !WITHOUT_GATEWAY.has(value),
    ).default("demo"),
    hub: text(
      "give a registry, e.g. docker.io/istio",
      (value) => value.length <= 255 && HUB.test(value),
    ).optional(),
    tag: text('give an image tag in quotes, e.g. "1.31.0"', (value) => TAG.test(value)).optional(),
    values: z.record(z.string(), z.unknown(), { error: "give an object of Helm values" }).default({}),
    manage: z.boolean({ error: "give true or false" }).default(true),
  },
  { error: objectError("give an object with version, profile, hub, tag, values, manage") },
);

const loadBalancerSchema = z.strictObject(
  {
    host: text("give the address or DNS name of the machine with HAProxy", isReachable),
    port: integer("give a port from 1 to 65535", 1, 65535).default(22),
    user: text("give the name of a user that may run sudo -n, e.g. debian", (value) =>
      /^[a-z_][a-z0-9_-]{0,31}$/.test(value),
    ),
    hostKey: text(`give the machine's public host key; ${KEYSCAN}`, isHostKey).transform((value) =>
      value.trim().split(" ").slice(0, 2).join(" "),
    ),
    configFile: text(
      "give an absolute path of letters, digits, dots, dashes and underscores",
      isPath,
    ).default("/etc/haproxy/haproxy.cfg"),
    reloadCommand: text(
      "give one line of shell without control characters",
      (value) => value.trim().length > 0 && value.length <= 1000 && !CONTROL.test(value),
    ).optional(),
  },
  { error: objectError("give an object with host, user and hostKey") },
);

const tlsSchema = z.strictObject(
  {
    mode: z.enum(["terminate", "passthrough"], { error: "give terminate or passthrough" }).optional(),
    redirect: z.boolean({ error: "give true or false" }).default(false),
  },
  { error: objectError("give an object with mode and redirect") },
);

const WANT_CERTIFICATE =
  "give the server's certificate and its chain in PEM: pulumi config set --secret tlsCertificate < fullchain.pem";
const WANT_TLS_KEY =
  "give the certificate's private key in PEM: pulumi config set --secret tlsKey < privkey.pem";

const listen = text(
  "give an address of the load balancer and a port, e.g. 127.0.0.1:8404 or [::1]:8404; not 80 or 443",
  (value) => listenOf(value) !== undefined,
).transform((value) => listenOf(value) as Listen);

function listenOf(text: string): Listen | undefined {
  const [, six = "", four = "", digits] =
    /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15})):([1-9][0-9]{0,4})$/.exec(text) ?? [];
  const port = Number(digits);
  const good = (isIPv6(six) || isIPv4(four)) && port <= 65535 && port !== 80 && port !== 443;
  return good ? { address: six || four, port } : undefined;
}

const statsSchema = z.strictObject(
  {
    prometheus: listen.optional(),
    page: listen.optional(),
    user: text("give a name of letters, digits, dots, dashes and underscores", (value) =>
      /^[A-Za-z0-9._-]{1,32}$/.test(value),
    ).default("admin"),
  },
  { error: objectError("give an object with prometheus, page and user") },
);

const WANT_PASSWORD =
  "give 12 to 128 plain ASCII characters without spaces: pulumi config set --secret statsPassword";

const DEFAULT_VERSIONS = [
  { name: "v116", version: "1.16", image: "nginx:1.16.1" },
  { name: "v117", version: "1.17", image: "nginx:1.17.9" },
];

const KEYS = {
  kubeconfig: text(
    "give a path, or nothing for KUBECONFIG or ~/.kube/config",
    (value) => value.length <= 4096 && !CONTROL.test(value),
  ).default(""),
  context: text(
    "give the name of a context, or nothing for the current one",
    (value) => value.length <= 253 && !CONTROL.test(value),
  ).default(""),
  namespace: text("give a DNS label, e.g. default", (value) => isLabel(value)).default("default"),
  host: text("give a DNS name, e.g. nginx.hung.org.hk", isDnsName).default("nginx.hung.org.hk"),
  gatewayHosts: z
    .array(text("give a DNS name, which may begin with *.", isGatewayHost), {
      error: 'give a list of host names, e.g. ["*.hung.org.hk"]',
    })
    .min(1, { error: "give at least one host name" })
    .default(["*.hung.org.hk"]),
  versions: z
    .array(versionSchema, { error: "give a list of versions" })
    .min(1, { error: "give at least one version" })
    .prefault(DEFAULT_VERSIONS),
  weights: z
    .record(z.string(), integer("give an integer percent from 0 to 100", 0, 100), {
      error: "give an object of version name to percent",
    })
    .default({ v116: 50, v117: 50 }),
  istio: istioSchema.prefault({}),
  nodes: z.array(nodeSchema, { error: "give a list of nodes" }).default([]),
  loadBalancer: loadBalancerSchema.prefault({} as never),
  loadBalancerPrivateKey: text(
    "give an SSH private key: pulumi config set --secret loadBalancerPrivateKey < ~/.ssh/id_ed25519",
    isPrivateKey,
  ).refine((value) => !hasPassphrase(value), {
    error: "it is protected by a passphrase; give a key without one, made for this purpose",
  }),
  tls: tlsSchema.prefault({}),
  tlsCertificate: z.string({ error: WANT_CERTIFICATE }).default(""),
  tlsKey: z.string({ error: WANT_TLS_KEY }).default(""),
  stats: statsSchema.prefault({}),
  statsPassword: z.string({ error: WANT_PASSWORD }).default(""),
};

type Key = keyof typeof KEYS;

/** Keys at the top level of the configuration, in the order of the documentation. */
export const CONFIG_KEYS = Object.keys(KEYS);

const STRUCTURED = new Set([
  "gatewayHosts",
  "versions",
  "weights",
  "istio",
  "nodes",
  "loadBalancer",
  "tls",
  "stats",
]);

/** Keys whose values are never shown. */
const SECRETS = new Set(["loadBalancerPrivateKey", "tlsCertificate", "tlsKey", "statsPassword"]);

/** Of these, what must not stand in the stack's settings in plain; a certificate may. */
const PRIVATE = new Set([...SECRETS].filter((key) => key !== "tlsCertificate"));

// ---- what the values must be together ----

const plainFault = (key: string) => ({
  key,
  message: `${key} stands in plain in the stack's settings: make it a secret with pulumi config set --secret ${key}, and take it for known if the file was shared`,
});

function hostFaults(host: string, gatewayHosts: readonly string[]): Fault[] {
  const inside = gatewayHosts.some(
    (pattern) =>
      pattern === "*" || pattern === host || (pattern.startsWith("*.") && host.endsWith(pattern.slice(1))),
  );
  return inside
    ? []
    : [
        fault(
          "host",
          host,
          `the Gateway lets in ${gatewayHosts.join(", ")} only: add ${host} to gatewayHosts`,
        ),
      ];
}

type BareVersion = Omit<Version, "page"> & { page?: string | undefined };

/** Fills in each page that is not given: "v" and the image's tag, as the article's pages have it. */
function withPages(versions: readonly BareVersion[], faults: Fault[]): Version[] {
  return versions.map((version, index) => {
    const tag = /:([^:/@]+)(?:@.*)?$/.exec(version.image.replace(/@.*$/, ""))?.[1];
    if (version.page === undefined && tag === undefined) {
      faults.push(
        fault(
          `versions[${index}].page`,
          undefined,
          `the image ${version.image} has no tag to make one of: give a text that tells this version`,
        ),
      );
    }
    return { ...version, page: version.page ?? `v${tag ?? version.name}\n` };
  });
}

function versionFaults(versions: readonly Version[]): Fault[] {
  const twice = (field: "name" | "version" | "page", right: string) =>
    versions.flatMap((version, index) => {
      const first = versions.findIndex((other) => other[field] === version[field]);
      return first === index
        ? []
        : [fault(`versions[${index}].${field}`, version[field], `versions[${first}] has the same: ${right}`)];
    });
  return [
    ...twice("name", "give each version a name of its own"),
    ...twice("version", "give each version a label of its own, or their pods mix"),
    ...twice("page", "give each version a page of its own, or nobody can tell who answered"),
  ];
}

function nodeFaults(nodes: readonly Node[]): Fault[] {
  return (["name", "address"] as const).flatMap((field) =>
    nodes.flatMap((node, index) => {
      const first = nodes.findIndex((other) => other[field] === node[field]);
      return first === index
        ? []
        : [
            fault(
              `nodes[${index}].${field}`,
              node[field],
              `nodes[${first}] has the same: give each node once`,
            ),
          ];
    }),
  );
}

/** Names to compare weights with, also when something else is wrong with the versions. */
function versionNames(versions: unknown): string[] | undefined {
  if (!Array.isArray(versions) || versions.length === 0) return undefined;
  const names = versions.map((version) => version?.name);
  return names.every((name) => typeof name === "string") ? [...new Set<string>(names)] : undefined;
}

function weightFaults(weights: Readonly<Record<string, number>>, names: readonly string[]): Fault[] {
  const unknown = Object.keys(weights).filter((name) => !names.includes(name));
  const missing = names.filter((name) => !Object.hasOwn(weights, name));
  const sum = Object.values(weights).reduce((total, weight) => total + weight, 0);
  return [
    ...unknown.map((name) =>
      fault(
        `weights.${name}`,
        weights[name],
        `no such version${meant(name, names)}; the versions are ${names.join(", ")}`,
      ),
    ),
    ...missing.map((name) =>
      fault(`weights.${name}`, undefined, `give ${name} an integer percent; 0 is legal`),
    ),
    ...(sum === 100 ? [] : [fault("weights", weights, `the sum is ${sum}; give percents that sum to 100`)]),
  ];
}

interface TlsKeys {
  readonly host?: string;
  readonly tls?: { readonly mode?: Tls["mode"] | undefined; readonly redirect: boolean };
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
}

/** Certificate and key may stay in the configuration while https is off. */
function tlsOf(
  { host, tls, tlsCertificate = "", tlsKey = "" }: TlsKeys,
  now: Date,
  faults: Fault[],
): Tls | undefined {
  if (!tls?.mode) {
    if (tls?.redirect) faults.push(fault("tls.mode", undefined, "give terminate or passthrough"));
    return undefined;
  }
  const chain = certificatesIn(tlsCertificate);
  const key = privateKeyIn(tlsKey);
  const [own] = chain ?? [];
  if (own && host) faults.push(...certificateFaults(own, host, now));
  else if (!own) faults.push(fault("tlsCertificate", tlsCertificate && SECRET, WANT_CERTIFICATE));
  if (typeof key === "string") faults.push(fault("tlsKey", tlsKey && SECRET, key));
  else if (own && !own.checkPrivateKey(key))
    faults.push(
      fault(
        "tlsKey",
        SECRET,
        "it does not belong to the first certificate in tlsCertificate, which has to be the server's own",
      ),
    );
  if (!chain || typeof key === "string") return undefined;
  const certificate = chain.map(String).join("");
  return { ...tls, mode: tls.mode, certificate, key: String(key.export({ type: "pkcs8", format: "pem" })) };
}

/** The certificates of a PEM text, or undefined where there is none or one cannot be read. */
function certificatesIn(pem: string): X509Certificate[] | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.length > 0 ? blocks.map((block) => new X509Certificate(block)) : undefined;
  } catch {
    return undefined;
  }
}

/** The key of a PEM text, or what would be right. */
function privateKeyIn(pem: string): KeyObject | string {
  if (/ENCRYPTED/.test(pem)) return "it is protected by a passphrase; give it without one";
  try {
    return createPrivateKey(pem);
  } catch {
    return WANT_TLS_KEY;
  }
}

function certificateFaults(certificate: X509Certificate, host: string, now: Date): Fault[] {
  const { subjectAltName, validFrom, validTo } = certificate;
  const faults = [
    // Browsers read the alternative names only.
    certificate.checkHost(host, { subject: "never" }) === undefined &&
      `it is for ${subjectAltName?.slice(0, 200) ?? "no name at all"}; give one for ${host}`,
    new Date(validFrom) > now && `it is good from ${validFrom} only`,
    new Date(validTo) <= now && `it expired on ${validTo}; give a new one`,
  ];
  return faults.filter((right) => right !== false).map((right) => fault("tlsCertificate", SECRET, right));
}

/** The password may stay in the configuration while the page is off. */
function statsOf(
  { stats, statsPassword = "" }: { stats?: z.output<typeof statsSchema>; statsPassword?: string },
  faults: Fault[],
): Stats {
  if (!stats) return {};
  const { prometheus, page, user } = stats;
  if (prometheus && page && prometheus.port === page.port)
    faults.push(fault("stats.page", page, "stats.prometheus has the same port: give each its own"));
  if (page && !/^[\x21-\x7e]{12,128}$/.test(statsPassword))
    faults.push(fault("statsPassword", statsPassword && SECRET, WANT_PASSWORD));
  return { prometheus, page: page && { ...page, user, password: statsPassword } };
}

// ---- faults ----

function toFaults(key: Key, raw: unknown, issue: z.core.$ZodIssue): Fault[] {
  const path =
    key + issue.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  const value = issue.path.reduce<unknown>(
    (at, part) => (at as Record<PropertyKey, unknown> | undefined)?.[part],
    raw,
  );
  if (issue.code === "unrecognized_keys") return unknownKeys(issue.keys, FIELDS[key] ?? [], `${path}.`);
  return [fault(path, SECRETS.has(key) && value ? SECRET : value, issue.message)];
}

const SECRET = Symbol("secret");

const FIELDS: { [K in Key]?: string[] } = {
  versions: Object.keys(versionSchema.shape),
  istio: Object.keys(istioSchema.shape),
  nodes: Object.keys(nodeSchema.shape),
  loadBalancer: Object.keys(loadBalancerSchema.shape),
  tls: Object.keys(tlsSchema.shape),
  stats: Object.keys(statsSchema.shape),
};

function unknownKeys(keys: readonly string[], known: readonly string[], prefix: string): Fault[] {
  return keys
    .filter((key) => !known.includes(key))
    .map((key) => {
      const path = prefix + printable(key);
      return {
        key: path,
        message: `${path} is no key of this project${meant(key, known)}; the keys are ${known.join(", ")}`,
      };
    });
}

function fault(key: string, value: unknown, right: string): Fault {
  const path = printable(key);
  const is =
    value === undefined || value === ""
      ? "is missing"
      : value === SECRET
        ? "is not usable"
        : `is ${shown(value)}`;
  return { key: path, message: `${path} ${is}: ${right}` };
}

const shown = (value: unknown) => {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 80 ? `${json.slice(0, 77)}...` : json;
};

/** A key as it may go to a terminal. */
const printable = (key: string) => key.replace(/[^\x20-\x7e]/g, "?").slice(0, 120);

function meant(word: string, known: readonly string[]): string {
  const near = known
    .map((candidate) => ({
      candidate,
      distance: editDistance(word.slice(0, 64).toLowerCase(), candidate.toLowerCase()),
    }))
    .sort((a, b) => a.distance - b.distance)[0];
  return near && near.distance <= Math.ceil(near.candidate.length * 0.4)
    ? ` (did you mean ${near.candidate}?)`
    : "";
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      next.push(
        Math.min((row[j] ?? 0) + (letter === other ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1),
      );
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Strict objects report unknown keys too; those keep their own code and only wrong types get this text. */
function objectError(right: string): (issue: z.core.$ZodRawIssue) => string | undefined {
  return (issue) => (issue.code === "invalid_type" ? right : undefined);
}

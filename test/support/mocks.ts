/** Runs the program or a component on mocks of the engine, and records what it registers. */
import * as pulumi from "@pulumi/pulumi";
import type { MockResourceArgs, MockResourceResult } from "@pulumi/pulumi/runtime/index.js";

/** A resource as the program registered it. */
export interface Registered {
  readonly type: string;
  readonly name: string;
  /** `parent type$type::name`, the end of the URN. */
  readonly path: string;
  // biome-ignore lint/suspicious/noExplicitAny: inputs of any resource
  readonly inputs: any;
  /** The inputs as they go to the engine, secrets still wrapped. */
  readonly wire: string;
  /** Names of what it depends on, sorted. */
  readonly dependencies: readonly string[];
  /** Name of its explicit provider. */
  readonly provider: string;
  /** Name of the resource whose deletion takes this one along; empty for none. */
  readonly deletedWith: string;
  /** How long its deletion may take; empty for the provider's default. */
  readonly deletionLimit: string;
}

/** The answers of the engine and the cluster in a test. */
export interface World {
  /** True: a preview, in which nothing new has an id. @default false */
  readonly preview?: boolean;
}

/** Ports of the ingress gateway's Service, as in the article. */
export const GATEWAY_PORTS = [
  { name: "status-port", port: 15021, nodePort: 30580 },
  { name: "http2", port: 80, nodePort: 30934 },
  { name: "https", port: 443, nodePort: 30895 },
];

/** A private key of the right form, which opens nothing. */
export const PRIVATE_KEY = [
  "-----BEGIN OPENSSH PRIVATE KEY-----",
  Buffer.from("openssh-key-v1\0\0\0\0\u0004none and so on, long enough").toString("base64"),
  "-----END OPENSSH PRIVATE KEY-----",
  "",
].join("\n");

/** A public host key of the right form. */
export const HOST_KEY = `ssh-ed25519 ${hostKeyBody("ssh-ed25519")}`;

/** The settings without a default. */
export const LEAST = {
  loadBalancer: { host: "10.0.0.1", user: "debian", hostKey: HOST_KEY },
  loadBalancerPrivateKey: PRIVATE_KEY,
};

/** Starts a fresh Pulumi runtime on mocks; returns the list that registered resources are appended to. */
export async function startMocks(
  config: Record<string, unknown> = {},
  world: World = {},
): Promise<Registered[]> {
  const newResource = (args: MockResourceArgs) => answer(args, world);
  await pulumi.runtime.setMocks(
    { newResource, call: ({ inputs }) => inputs },
    "istio-lab",
    "test",
    world.preview ?? false,
    "organization",
  );
  const entries = Object.entries({ ...LEAST, ...config }).filter(([, value]) => value !== undefined);
  pulumi.runtime.setAllConfig(
    Object.fromEntries(
      entries.map(([key, value]) => [
        `istio-lab:${key}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
  );
  return recordRegistrations();
}

/** The value of an output when everything has settled; undefined where it is unknown. */
export async function settled<T>(output: pulumi.Input<T>): Promise<T> {
  return (pulumi.output(output) as unknown as { promise(): Promise<T> }).promise();
}

/** The one resource of that name. */
export function find(resources: readonly Registered[], name: string, type = ""): Registered {
  const found = resources.filter((resource) => resource.name === name && resource.type.includes(type));
  if (found.length !== 1 || !found[0])
    throw new Error(`${found.length} resources ${type} of the name ${name}`);
  return found[0];
}

function answer({ type, name, inputs, id }: MockResourceArgs, world: World): MockResourceResult {
  // The engine cannot read by an unknown id.
  if (id === pulumi.runtime.unknownValue) return { id, state: {} };
  // In a preview @pulumi/command has an id, and unknown outputs.
  const unknown = world.preview && type.startsWith("kubernetes:");
  return { id: unknown ? undefined : `${name}-id`, state: inputs };
}

/** A mock receives only inputs. Parents, dependencies and providers are in the request. */
function recordRegistrations(): Registered[] {
  const resources: Registered[] = [];
  const monitor = pulumi.runtime.getMonitor() as unknown as Monitor;
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, callback) =>
    register(request, (error, response) => {
      if (response) resources.push(toRegistered(request, response.getUrn()));
      callback(error, response);
    });
  return resources;
}

function toRegistered(request: RegisterRequest, urn: string): Registered {
  const nameOf = (other: string) => other.split("::")[3] ?? "";
  const wire = request.getObject()?.toJavaScript() ?? {};
  return {
    type: request.getType(),
    name: request.getName(),
    path: urn.split("::").slice(2).join("::"),
    inputs: unwrap(wire),
    wire: JSON.stringify(wire),
    dependencies: [...new Set(request.getDependenciesList().map(nameOf))].sort(),
    provider: nameOf(request.getProvider()),
    deletedWith: nameOf(request.getDeletedwith()),
    deletionLimit: request.getCustomtimeouts()?.getDelete() ?? "",
  };
}

/** Unwraps secrets. */
function unwrap(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unwrap);
  if (typeof value !== "object" || value === null) return value;
  if (SIGNATURE in value) return unwrap((value as { value?: unknown }).value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unwrap(inner)]));
}

/** The key that marks a wrapped value: runtime/rpc of the SDK. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";

interface RegisterRequest {
  getType(): string;
  getName(): string;
  getProvider(): string;
  getDeletedwith(): string;
  getCustomtimeouts(): { getDelete(): string } | undefined;
  getDependenciesList(): string[];
  getObject(): { toJavaScript(): Record<string, unknown> } | undefined;
}

type Callback = (error: Error | null, response?: { getUrn(): string }) => void;

interface Monitor {
  registerResource(request: RegisterRequest, callback: Callback): unknown;
}

function hostKeyBody(type: string): string {
  const field = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  return Buffer.concat([field(Buffer.from(type)), field(Buffer.alloc(32, 7))]).toString("base64");
}

/** The version of a Pulumi plugin, from its directory's name or from the plugin itself. */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import type { Client, ServiceError } from "@grpc/grpc-js";
import type { PluginName } from "./pluginInstall.ts";

/** Major, minor, patch. */
export type Version = readonly [number, number, number];

/**
 * Parses `4.34.2` or `v4.34.2-alpha.1`; undefined for any other text. The pre-release part does not count.
 */
export function parseVersion(text: string): Version | undefined {
  const parts = /^v?(\d+)\.(\d+)\.(\d+)(?![.\d])/.exec(text)?.slice(1).map(Number);
  return parts as Version | undefined;
}

export function compareVersions(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

/** Another major version has another protocol. An older version lacks options that the program sets. */
export function serves(version: string, wanted: string): boolean {
  const [has, needs] = [parseVersion(version), parseVersion(wanted)];
  return has !== undefined && needs !== undefined && has[0] === needs[0] && compareVersions(has, needs) >= 0;
}

/** The version of the program's SDK. A language plugin only has to have the engine's major version. */
export function wantedVersion(name: PluginName): string {
  if (name === "language-nodejs") return "3.0.0";
  const require = createRequire(import.meta.url);
  return (require(`@pulumi/${name.replace("resource-", "")}/package.json`) as { version: string }).version;
}

/** How long a plugin may take to start and answer. */
const ANSWER_MS = 20_000;

/**
 * Starts a plugin, gets its version, and ends it.
 * @returns undefined when it does not start or does not answer
 */
export async function reportedVersion(name: PluginName, executable: string): Promise<string | undefined> {
  // Nothing listens at this address. A plugin reports its version without an engine.
  const child = spawn(executable, ["127.0.0.1:1"], { stdio: ["ignore", "pipe", "ignore"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), ANSWER_MS);
  try {
    const port = await new Promise<string | undefined>((resolve) => {
      child.once("error", () => resolve(undefined));
      child.once("exit", () => resolve(undefined));
      child.stdout.once("data", (line: Buffer) => resolve(/^\d+/.exec(line.toString())?.[0]));
    });
    return port === undefined ? undefined : await getVersion(name, port);
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
}

async function getVersion(name: PluginName, port: string): Promise<string | undefined> {
  const grpc = await import("@grpc/grpc-js");
  const require = createRequire(import.meta.url);
  const { Empty } = createRequire(require.resolve("@pulumi/pulumi/package.json"))(
    "google-protobuf/google/protobuf/empty_pb.js",
  );
  const PluginClient =
    name === "language-nodejs"
      ? require("@pulumi/pulumi/proto/language_grpc_pb.js").LanguageRuntimeClient
      : require("@pulumi/pulumi/proto/provider_grpc_pb.js").ResourceProviderClient;
  const client = new PluginClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure()) as Client & {
    getPluginInfo(
      request: unknown,
      options: { deadline: number },
      answer: (error: ServiceError | null, info: { getVersion(): string }) => void,
    ): void;
  };
  try {
    return await new Promise<string | undefined>((resolve) => {
      client.getPluginInfo(new Empty(), { deadline: Date.now() + ANSWER_MS }, (error, info) =>
        resolve(error === null ? info.getVersion() : undefined),
      );
    });
  } finally {
    client.close();
  }
}

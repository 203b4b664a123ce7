/**
 * The duties of every plugin of Pulumi's engine: serve gRPC on a free port of the loopback interface, print
 * that port, report its version, end with the engine.
 */
import { createRequire } from "node:module";
import * as grpc from "@grpc/grpc-js";

const require = createRequire(import.meta.url);
const plugin: typeof import("@pulumi/pulumi/proto/plugin_pb.js") = require("@pulumi/pulumi/proto/plugin_pb.js");
// Protobuf's own types must come from the same copy of the package as Pulumi's stubs use.
const empties: typeof import("google-protobuf/google/protobuf/empty_pb.js") = createRequire(
  require.resolve("@pulumi/pulumi/package.json"),
)("google-protobuf/google/protobuf/empty_pb.js");

/** The engine's own limit. */
const MESSAGE_LIMIT_BYTES = 400 * 1024 * 1024;

/** An error with more than a message: a google.rpc.Status, which the engine unpacks. */
export interface DetailedError extends Error {
  statusDetails(): Buffer;
}

/** Starts a gRPC server on a free port of 127.0.0.1. */
export async function serve(
  service: grpc.ServiceDefinition,
  implementation: grpc.UntypedServiceImplementation,
): Promise<number> {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": MESSAGE_LIMIT_BYTES,
    "grpc.max_send_message_length": MESSAGE_LIMIT_BYTES,
  });
  server.addService(service, implementation);
  return await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

/**
 * The engine reads the first line of a plugin's output as its port, and later lines as messages to the user.
 */
export function announce(port: number): void {
  process.stdout.write(`${port}\n`);
}

/** Calls that have no answer yet. */
const calls = new Set<Promise<unknown>>();

/**
 * Ends this process with the engine. The engine ends its plugins by SIGINT. When the engine was killed, this
 * process gets another parent. Running calls then go on, as in the official plugins, and the process ends
 * after them.
 * @param interrupt called at SIGINT and SIGTERM
 * @param orphaned called when the engine was killed
 * @param orphanedMs the longest time for the running calls
 */
export function endWithEngine({
  interrupt = () => {},
  orphaned = () => {},
  orphanedMs,
}: {
  interrupt?: () => void;
  orphaned?: () => void;
  orphanedMs: number;
}): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      interrupt();
      process.exit(0);
    });
  const parent = process.ppid;
  const check = setInterval(async () => {
    if (process.ppid === parent) return;
    clearInterval(check);
    orphaned();
    if (Number.isFinite(orphanedMs)) setTimeout(() => process.exit(0), orphanedMs);
    while (calls.size > 0) await Promise.allSettled(calls);
    process.exit(0);
  }, ORPHAN_CHECK_MS);
  check.unref();
}

const ORPHAN_CHECK_MS = 1000;

/** A gRPC method made of an async function. Its error becomes the call's error, without a stack. */
export function unary<Request, Response>(
  answer: (request: Request) => Promise<Response> | Response,
): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const work = Promise.resolve(call.request)
      .then(answer)
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(serviceError(error)),
      )
      .finally(() => calls.delete(work));
    calls.add(work);
  };
}

export function empty() {
  return new empties.Empty();
}

export function pluginInfo(version: string) {
  return new plugin.PluginInfo().setVersion(version);
}

function serviceError(error: unknown): Partial<grpc.ServiceError> {
  const message = error instanceof Error ? error.message : String(error);
  const metadata = new grpc.Metadata();
  if (isDetailed(error)) metadata.set("grpc-status-details-bin", error.statusDetails());
  return { code: grpc.status.UNKNOWN, details: message, message, metadata };
}

function isDetailed(error: unknown): error is DetailedError {
  return error instanceof Error && "statusDetails" in error;
}

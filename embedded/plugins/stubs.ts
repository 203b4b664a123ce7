/** Pulumi's generated gRPC stubs, and the conversion of property bags to and from their wire form. */
import { createRequire } from "node:module";
import type { Struct } from "google-protobuf/google/protobuf/struct_pb.js";
import { decode, encode, type Properties } from "./values.ts";

// The stubs are CommonJS whose exports Node cannot see before it runs them. Protobuf's own types must come
// from the same copy of the package as the stubs use.
const require = createRequire(import.meta.url);
const requireAsPulumi = createRequire(require.resolve("@pulumi/pulumi/package.json"));

export const messages: typeof import("@pulumi/pulumi/proto/provider_pb.js") = require("@pulumi/pulumi/proto/provider_pb.js");
export const services: typeof import("@pulumi/pulumi/proto/provider_grpc_pb.js") = require("@pulumi/pulumi/proto/provider_grpc_pb.js");
export const engine: typeof import("@pulumi/pulumi/proto/engine_pb.js") = require("@pulumi/pulumi/proto/engine_pb.js");
export const engineServices: typeof import("@pulumi/pulumi/proto/engine_grpc_pb.js") = require("@pulumi/pulumi/proto/engine_grpc_pb.js");
export const status: typeof import("@pulumi/pulumi/proto/status_pb.js") = require("@pulumi/pulumi/proto/status_pb.js");
export const anys: typeof import("google-protobuf/google/protobuf/any_pb.js") = requireAsPulumi(
  "google-protobuf/google/protobuf/any_pb.js",
);
const structs: typeof import("google-protobuf/google/protobuf/struct_pb.js") = requireAsPulumi(
  "google-protobuf/google/protobuf/struct_pb.js",
);

/** The messages of a provider, by name. */
export type Message<Name extends keyof typeof messages> = (typeof messages)[Name] extends new (
  ...args: never[]
) => infer M
  ? M
  : never;

export function toStruct(properties: Properties): Struct {
  return structs.Struct.fromJavaScript(
    encode(properties) as Parameters<typeof structs.Struct.fromJavaScript>[0],
  );
}

export function fromStruct(struct: Struct | undefined): Properties {
  return struct === undefined ? {} : (decode(struct.toJavaScript()) as Properties);
}

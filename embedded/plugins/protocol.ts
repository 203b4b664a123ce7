/** The provider protocol of Pulumi's engine, with property bags decoded and a log back to the engine. */
import { createRequire } from "node:module";
import * as grpc from "@grpc/grpc-js";
import type { Struct } from "google-protobuf/google/protobuf/struct_pb.js";
import { announce, type DetailedError, empty, endWithEngine, pluginInfo, serve, unary } from "./server.ts";
import { type Changes, decode, encode, isWithin, type Properties } from "./values.ts";

// Pulumi's generated stubs are CommonJS whose names Node cannot see before it runs them, and protobuf's own types
// must be the very ones that the stubs use.
const require = createRequire(import.meta.url);
const requireAsPulumi = createRequire(require.resolve("@pulumi/pulumi/package.json"));
const messages: typeof import("@pulumi/pulumi/proto/provider_pb.js") = require("@pulumi/pulumi/proto/provider_pb.js");
const services: typeof import("@pulumi/pulumi/proto/provider_grpc_pb.js") = require("@pulumi/pulumi/proto/provider_grpc_pb.js");
const plugin: typeof import("@pulumi/pulumi/proto/plugin_pb.js") = require("@pulumi/pulumi/proto/plugin_pb.js");
const engine: typeof import("@pulumi/pulumi/proto/engine_pb.js") = require("@pulumi/pulumi/proto/engine_pb.js");
const engineServices: typeof import("@pulumi/pulumi/proto/engine_grpc_pb.js") = require("@pulumi/pulumi/proto/engine_grpc_pb.js");
const status: typeof import("@pulumi/pulumi/proto/status_pb.js") = require("@pulumi/pulumi/proto/status_pb.js");
const structs: typeof import("google-protobuf/google/protobuf/struct_pb.js") = requireAsPulumi(
  "google-protobuf/google/protobuf/struct_pb.js",
);
const anys: typeof import("google-protobuf/google/protobuf/any_pb.js") = requireAsPulumi(
  "google-protobuf/google/protobuf/any_pb.js",
);

/** What a provider answers to the engine. Property bags are decoded; a rejected promise becomes the resource's error. */
export interface Provider {
  diffConfig?(olds: Properties, news: Properties): Promise<Diff>;
  configure?(args: Properties): Promise<void>;
  invoke?(token: string, args: Properties): Promise<Properties>;
  check(request: CheckRequest): Promise<CheckResult>;
  diff(request: DiffRequest): Promise<Diff>;
  create(request: CreateRequest): Promise<{ id: string; outputs: Properties }>;
  read(request: ReadRequest): Promise<ReadResult | undefined>;
  update(request: UpdateRequest): Promise<Properties>;
  delete(request: DeleteRequest): Promise<void>;
  /** The user interrupts: end what runs, politely; the pending calls then fail. Resolved when nothing runs. */
  cancel(): Promise<void> | void;
}

interface ResourceRequest {
  urn: string;
  /** The type token, `kubernetes:core/v1:Service`. */
  type: string;
  /** The last part of the URN. */
  name: string;
}
export interface CheckRequest extends ResourceRequest {
  olds: Properties | undefined;
  news: Properties;
  /** The same for one resource and one update; empty when the engine wants no random names. */
  randomSeed: Uint8Array;
}
export interface CheckResult {
  inputs: Properties;
  failures?: { property: string; reason: string }[];
}
export interface DiffRequest extends ResourceRequest {
  id: string;
  /** The outputs in the state. */
  olds: Properties;
  oldInputs: Properties;
  news: Properties;
  ignoreChanges: string[];
}
export interface Diff {
  changes: Changes;
  /** The roots of those paths whose change needs a new resource. */
  replaces?: string[];
  deleteBeforeReplace?: boolean;
}
export interface CreateRequest extends ResourceRequest {
  inputs: Properties;
  /** From the resource option customTimeouts, in seconds; 0 when not given. */
  timeoutSeconds: number;
  preview: boolean;
}
export interface ReadRequest extends ResourceRequest {
  id: string;
  /** Empty at an import or a `get`. */
  inputs: Properties;
  outputs: Properties;
}
export interface ReadResult {
  id: string;
  inputs: Properties;
  outputs: Properties;
}
export interface UpdateRequest extends CreateRequest {
  id: string;
  olds: Properties;
  oldInputs: Properties;
}
export interface DeleteRequest extends ResourceRequest {
  id: string;
  outputs: Properties;
  oldInputs: Properties;
  timeoutSeconds: number;
}

/** The resource exists but is not well: the engine records it with these outputs and shows the reasons. */
export class InitializationError extends Error implements DetailedError {
  readonly id: string;
  readonly outputs: Properties;
  readonly inputs: Properties | undefined;
  readonly reasons: string[];
  constructor(message: string, id: string, outputs: Properties, reasons: string[] = [], inputs?: Properties) {
    super(message);
    this.id = id;
    this.outputs = outputs;
    this.inputs = inputs;
    this.reasons = [message, ...reasons];
  }

  statusDetails(): Buffer {
    const detail = new messages.ErrorResourceInitFailed()
      .setId(this.id)
      .setProperties(toStruct(this.outputs))
      .setReasonsList(this.reasons);
    if (this.inputs !== undefined) detail.setInputs(toStruct(this.inputs));
    const any = new anys.Any();
    any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const full = new status.Status()
      .setCode(grpc.status.UNKNOWN)
      .setMessage(this.message)
      .setDetailsList([any]);
    return Buffer.from(full.serializeBinary());
  }
}

export type Severity = "debug" | "info" | "warning" | "error";
/** Says something about a resource: `status` lines are shown while it is worked on, `message` lines are kept. */
export interface Log {
  status(urn: string, text: string): void;
  message(urn: string, severity: Severity, text: string): void;
}

/**
 * Serves a provider until the engine ends this process.
 * @param version what `pulumi about` shows
 * @param make called at once; the log reaches the engine whose address is the process's first argument
 */
export async function serveProvider(version: string, make: (log: Log) => Provider): Promise<void> {
  const log = new EngineLog();
  const provider = make(log);
  log.connect(process.argv[2]);
  const port = await serve(services.ResourceProviderService, providerService(version, provider, log));
  endWithEngine(() => provider.cancel());
  announce(port);
}

/** The stubs of the engine's side, for the log and for tests. */
export { engine, engineServices, messages, services };

export function toStruct(properties: Properties): Struct {
  return structs.Struct.fromJavaScript(
    encode(properties) as Parameters<typeof structs.Struct.fromJavaScript>[0],
  );
}

export function fromStruct(struct: Struct | undefined): Properties {
  return struct === undefined ? {} : (decode(struct.toJavaScript()) as Properties);
}

class EngineLog implements Log {
  #client: InstanceType<typeof engineServices.EngineClient> | undefined;

  connect(address: string | undefined): void {
    if (address === undefined || address === "" || this.#client !== undefined) return;
    this.#client = new engineServices.EngineClient(address, grpc.credentials.createInsecure());
  }

  readonly #said = new Set<string>();

  status(urn: string, text: string): void {
    // An empty line clears what was said; where nothing was, it would be a line of its own in a plain log.
    if (text === "" && !this.#said.delete(urn)) return;
    if (text !== "") this.#said.add(urn);
    this.#send(urn, "info", text, true);
  }

  message(urn: string, severity: Severity, text: string): void {
    this.#send(urn, severity, text, false);
  }

  #send(urn: string, severity: Severity, text: string, ephemeral: boolean): void {
    const request = new engine.LogRequest()
      .setUrn(urn)
      .setSeverity(SEVERITIES[severity])
      .setMessage(text)
      .setEphemeral(ephemeral);
    // A line that does not arrive is no reason to fail the work that it speaks of.
    this.#client?.log(request, () => {});
  }
}

const SEVERITIES = {
  debug: engine.LogSeverity.DEBUG,
  info: engine.LogSeverity.INFO,
  warning: engine.LogSeverity.WARNING,
  error: engine.LogSeverity.ERROR,
} as const;

function providerService(
  version: string,
  provider: Provider,
  log: EngineLog,
): grpc.UntypedServiceImplementation {
  type Messages = typeof messages;
  type In<Name extends keyof Messages> = Messages[Name] extends new (
    ...args: never[]
  ) => infer Message
    ? Message
    : never;
  return {
    handshake: unary((request: In<"ProviderHandshakeRequest">) => {
      log.connect(request.getEngineAddress());
      return new messages.ProviderHandshakeResponse().setAcceptSecrets(true);
    }),
    attach: unary((request: InstanceType<typeof plugin.PluginAttach>) => {
      log.connect(request.getAddress());
      return empty();
    }),
    getPluginInfo: unary(() => pluginInfo(version)),
    getSchema: unary(() => new messages.GetSchemaResponse().setSchema("{}")),
    getMapping: unary(() => new messages.GetMappingResponse()),
    getMappings: unary(() => new messages.GetMappingsResponse()),

    checkConfig: unary((request: In<"CheckRequest">) =>
      new messages.CheckResponse().setInputs(request.getNews()),
    ),
    diffConfig: unary(async (request: In<"DiffRequest">) => {
      // Old inputs are what the user wrote; the outputs of a provider resource are the same plus the version.
      const olds = fromStruct(request.getOldInputs() ?? request.getOlds());
      const diff = await provider.diffConfig?.(olds, fromStruct(request.getNews()));
      return diffResponse(diff ?? { changes: new Map() });
    }),
    configure: unary(async (request: In<"ConfigureRequest">) => {
      await provider.configure?.(fromStruct(request.getArgs()));
      return new messages.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
    }),
    invoke: unary(async (request: In<"InvokeRequest">) => {
      if (provider.invoke === undefined) throw new Error(`function ${request.getTok()} is not supported`);
      const result = await provider.invoke(request.getTok(), fromStruct(request.getArgs()));
      return new messages.InvokeResponse().setReturn(toStruct(result));
    }),

    check: unary(async (request: In<"CheckRequest">) => {
      const { inputs, failures } = await provider.check({
        ...resource(request),
        olds: request.hasOlds() ? fromStruct(request.getOlds()) : undefined,
        news: fromStruct(request.getNews()),
        randomSeed: request.getRandomseed_asU8(),
      });
      return new messages.CheckResponse()
        .setInputs(toStruct(inputs))
        .setFailuresList(
          (failures ?? []).map(({ property, reason }) =>
            new messages.CheckFailure().setProperty(property).setReason(reason),
          ),
        );
    }),
    diff: unary(async (request: In<"DiffRequest">) =>
      diffResponse(
        await provider.diff({
          ...resource(request),
          id: request.getId(),
          olds: fromStruct(request.getOlds()),
          oldInputs: fromStruct(request.getOldInputs()),
          news: fromStruct(request.getNews()),
          ignoreChanges: request.getIgnorechangesList(),
        }),
      ),
    ),
    create: unary(async (request: In<"CreateRequest">) => {
      const { id, outputs } = await provider.create({
        ...resource(request),
        inputs: fromStruct(request.getProperties()),
        timeoutSeconds: request.getTimeout(),
        preview: request.getPreview(),
      });
      return new messages.CreateResponse().setId(id).setProperties(toStruct(outputs));
    }),
    read: unary(async (request: In<"ReadRequest">) => {
      const found = await provider.read({
        ...resource(request),
        id: request.getId(),
        inputs: fromStruct(request.getInputs()),
        outputs: fromStruct(request.getProperties()),
      });
      if (found === undefined) return new messages.ReadResponse();
      return new messages.ReadResponse()
        .setId(found.id)
        .setInputs(toStruct(found.inputs))
        .setProperties(toStruct(found.outputs));
    }),
    update: unary(async (request: In<"UpdateRequest">) => {
      const outputs = await provider.update({
        ...resource(request),
        id: request.getId(),
        olds: fromStruct(request.getOlds()),
        oldInputs: fromStruct(request.getOldInputs()),
        inputs: fromStruct(request.getNews()),
        timeoutSeconds: request.getTimeout(),
        preview: request.getPreview(),
      });
      return new messages.UpdateResponse().setProperties(toStruct(outputs));
    }),
    delete: unary(async (request: In<"DeleteRequest">) => {
      await provider.delete({
        ...resource(request),
        id: request.getId(),
        outputs: fromStruct(request.getProperties()),
        oldInputs: fromStruct(request.getOldInputs()),
        timeoutSeconds: request.getTimeout(),
      });
      return empty();
    }),
    cancel: unary(() => {
      void provider.cancel();
      return empty();
    }),
  };
}

/** Type and name are in the URN as well, where engines before 3.140 have them alone: `urn:pulumi:stack::project::type$type::name`. */
function resource(request: { getUrn(): string }): ResourceRequest {
  const urn = request.getUrn();
  const [, , types = "", ...name] = urn.split("::");
  return { urn, type: types.slice(types.lastIndexOf("$") + 1), name: name.join("::") };
}

function diffResponse({ changes, replaces = [], deleteBeforeReplace = false }: Diff) {
  const { DiffResponse, PropertyDiff } = messages;
  const response = new DiffResponse()
    .setChanges(changes.size > 0 ? DiffResponse.DiffChanges.DIFF_SOME : DiffResponse.DiffChanges.DIFF_NONE)
    .setHasdetaileddiff(true)
    .setDeletebeforereplace(deleteBeforeReplace);
  const { Kind } = PropertyDiff;
  const kinds = {
    add: [Kind.ADD, Kind.ADD_REPLACE],
    delete: [Kind.DELETE, Kind.DELETE_REPLACE],
    update: [Kind.UPDATE, Kind.UPDATE_REPLACE],
  } as const;
  const [changed, replacing] = [new Set<string>(), new Set<string>()];
  for (const [path, kind] of changes) {
    const replace = replaces.some((root) => isWithin(path, root));
    const property = path.split(/[.[]/, 1)[0] as string;
    changed.add(property);
    if (replace) replacing.add(property);
    response
      .getDetaileddiffMap()
      .set(path, new PropertyDiff().setKind(kinds[kind][replace ? 1 : 0]).setInputdiff(true));
  }
  return response.setDiffsList([...changed]).setReplacesList([...replacing]);
}

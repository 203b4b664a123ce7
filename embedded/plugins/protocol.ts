/** Serves a provider to Pulumi's engine: gRPC on one side, decoded property bags on the other. */
import * as grpc from "@grpc/grpc-js";
import { EngineLog } from "./engineLog.ts";
import { type Diff, InitializationError, type Log, type Provider, type ResourceRequest } from "./provider.ts";
import { announce, empty, endWithEngine, pluginInfo, serve, unary } from "./server.ts";
import { anys, fromStruct, type Message, messages, services, status, toStruct } from "./stubs.ts";
import { isWithin, unsupported } from "./values.ts";

/**
 * Serves a provider until the engine ends this process.
 * @param version what `pulumi about` shows
 * @param make called at once. The log goes to the engine whose address is the process's first argument
 * @param orphanedMs how long running calls may go on after the engine was killed
 */
export async function serveProvider(
  version: string,
  make: (log: Log) => Provider,
  orphanedMs: number,
): Promise<void> {
  const log = new EngineLog();
  const provider = make(log);
  log.connect(process.argv[2]);
  const port = await serve(services.ResourceProviderService, providerService(version, provider, log));
  endWithEngine({ orphanedMs });
  announce(port);
}

function providerService(
  version: string,
  provider: Provider,
  log: EngineLog,
): grpc.UntypedServiceImplementation {
  return {
    ...connectionMethods(version, log),
    ...configurationMethods(provider),
    ...resourceMethods(provider),
    cancel: unary(() => {
      provider.cancel();
      return empty();
    }),
  };
}

function connectionMethods(version: string, log: EngineLog): grpc.UntypedServiceImplementation {
  return {
    handshake: unary((request: Message<"ProviderHandshakeRequest">) => {
      log.connect(request.getEngineAddress());
      return new messages.ProviderHandshakeResponse().setAcceptSecrets(true);
    }),
    getPluginInfo: unary(() => pluginInfo(version)),
  };
}

/** The methods of the provider's own resource, and functions. */
function configurationMethods(provider: Provider): grpc.UntypedServiceImplementation {
  return {
    checkConfig: unary((request: Message<"CheckRequest">) =>
      new messages.CheckResponse().setInputs(request.getNews()),
    ),
    diffConfig: unary(async (request: Message<"DiffRequest">) => {
      // The old inputs are the user's. The outputs of a provider resource are the same plus the version.
      const olds = fromStruct(request.getOldInputs() ?? request.getOlds());
      const diff = await provider.diffConfig?.(olds, fromStruct(request.getNews()));
      return diffResponse(diff ?? { changes: new Map() });
    }),
    configure: unary(async (request: Message<"ConfigureRequest">) => {
      await provider.configure?.(fromStruct(request.getArgs()));
      return new messages.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
    }),
    invoke: unary((request: Message<"InvokeRequest">) => {
      throw new Error(unsupported(`function ${request.getTok()}`));
    }),
  };
}

function resourceMethods(provider: Provider): grpc.UntypedServiceImplementation {
  return {
    check: unary(async (request: Message<"CheckRequest">) => {
      const { inputs, failures } = await provider.check({
        ...resource(request),
        olds: request.hasOlds() ? fromStruct(request.getOlds()) : undefined,
        news: fromStruct(request.getNews()),
      });
      return new messages.CheckResponse()
        .setInputs(toStruct(inputs))
        .setFailuresList(
          (failures ?? []).map(({ property, reason }) =>
            new messages.CheckFailure().setProperty(property).setReason(reason),
          ),
        );
    }),
    diff: unary(async (request: Message<"DiffRequest">) =>
      diffResponse(
        await provider.diff({
          ...resource(request),
          id: request.getId(),
          olds: fromStruct(request.getOlds()),
          oldInputs: fromStruct(request.getOldInputs()),
          news: fromStruct(request.getNews()),
        }),
      ),
    ),
    create: detailed(async (request: Message<"CreateRequest">) => {
      const { id, outputs } = await provider.create({
        ...resource(request),
        inputs: fromStruct(request.getProperties()),
        timeoutSeconds: request.getTimeout(),
        preview: request.getPreview(),
      });
      return new messages.CreateResponse().setId(id).setProperties(toStruct(outputs));
    }),
    read: detailed(async (request: Message<"ReadRequest">) => {
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
    update: detailed(async (request: Message<"UpdateRequest">) => {
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
    delete: unary(async (request: Message<"DeleteRequest">) => {
      await provider.delete({
        ...resource(request),
        id: request.getId(),
        outputs: fromStruct(request.getProperties()),
        oldInputs: fromStruct(request.getOldInputs()),
        timeoutSeconds: request.getTimeout(),
      });
      return empty();
    }),
  };
}

/** As `unary`. The error carries an object that is not ready, for the engine to record. */
function detailed<Request, Response>(answer: (request: Request) => Promise<Response>) {
  return unary(async (request: Request) => {
    try {
      return await answer(request);
    } catch (error) {
      if (!(error instanceof InitializationError)) throw error;
      throw Object.assign(error, { statusDetails: () => statusDetails(error) });
    }
  });
}

function statusDetails({ id, outputs, inputs, reasons, message }: InitializationError): Buffer {
  const detail = new messages.ErrorResourceInitFailed()
    .setId(id)
    .setProperties(toStruct(outputs))
    .setReasonsList(reasons);
  if (inputs !== undefined) detail.setInputs(toStruct(inputs));
  const any = new anys.Any();
  any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const whole = new status.Status().setCode(grpc.status.UNKNOWN).setMessage(message).setDetailsList([any]);
  return Buffer.from(whole.serializeBinary());
}

/** Type and name, from the URN: `urn:pulumi:stack::project::type$type::name`. */
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

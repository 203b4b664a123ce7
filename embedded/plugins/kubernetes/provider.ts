/**
 * Objects of any kind through server-side apply, with the official provider's semantics: what is compared, what
 * replaces, what is waited for, which fields a Patch resource owns.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  type CheckRequest,
  type CheckResult,
  type CreateRequest,
  type DeleteRequest,
  type Diff,
  type DiffRequest,
  InitializationError,
  type Log,
  type Provider,
  type ReadRequest,
  type ReadResult,
  type UpdateRequest,
} from "../protocol.ts";
import {
  type Changes,
  changes,
  containsUnknown,
  equal,
  isObject,
  isWithin,
  type Properties,
  reveal,
  Unknown,
  type Value,
} from "../values.ts";
import {
  Api,
  ApiError,
  ClusterUnreachable,
  isNotFound,
  type KubernetesObject,
  NoSuchKind,
  type Reference,
  referenceTo,
} from "./api.ts";
import { NotReady, timeoutOf, untilGone, untilReady, type Waiting } from "./awaiting.ts";
import {
  ANNOTATIONS,
  annotation,
  drifted,
  idOf,
  immutablePaths,
  isKnownClusterScoped,
  isPatch,
  kindOfType,
  markSecrets,
  normalize,
  parseId,
  toObject,
  toOutputs,
} from "./objects.ts";
import { adoptFields } from "./ownership.ts";

/** A plain create is an update in the server's books; the first apply takes it over. As the official provider. */
const CREATE_MANAGER = "pulumi-kubernetes";
/** How long an object is tried to be created whose kind or namespace is not there: somebody may be making it. */
const APPEARANCE_TIMEOUT_MS = 30_000;
/** A Patch resource is of something that was there before. */
const PATCH_TARGET_TIMEOUT_MS = 5000;
const APPEARANCE_FIRST_RETRY_MS = 250;
const APPEARANCE_LONGEST_RETRY_MS = 2000;

export class KubernetesProvider implements Provider {
  readonly #log: Log;
  readonly #cancellation = new AbortController();
  #config: Config = readConfig({});
  #api: Promise<Api> | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  async diffConfig(olds: Properties, news: Properties): Promise<Diff> {
    const changed = changes(withoutVersion(olds), withoutVersion(news));
    return { changes: changed, replaces: await configReplaces(olds, news, changed) };
  }

  async configure(args: Properties): Promise<void> {
    this.#config = readConfig(args);
    this.#api = undefined;
  }

  async check({ type, name, olds, news, randomSeed }: CheckRequest): Promise<CheckResult> {
    if (type === "kubernetes:helm.sh/v3:Release" || type.startsWith("kubernetes:yaml/"))
      throw new Error(
        `resource type ${type} is not supported by the stand-in plugin, which knows Kubernetes objects only; ` +
          "install the official plugin `pulumi-resource-kubernetes` to use it",
      );
    const inputs = normalize(news);
    const metadata: Properties = { ...(isObject(inputs.metadata) ? inputs.metadata : {}) };
    if (inputs.metadata instanceof Unknown) return { inputs: markSecrets(inputs, news) };
    if (metadata.generateName !== undefined)
      return {
        inputs,
        failures: [{ property: "metadata.generateName", reason: "is not supported by server-side apply" }],
      };
    if (metadata.name === undefined) {
      if (isPatch(type, inputs.kind))
        return {
          inputs,
          failures: [{ property: "metadata.name", reason: "is required for a Patch resource" }],
        };
      autoname(metadata, name, olds, randomSeed);
    }
    const { namespace } = this.#config;
    if (namespace !== undefined && metadata.namespace === undefined && (await this.#mayBeNamespaced(inputs)))
      metadata.namespace = namespace;
    return { inputs: markSecrets({ ...inputs, metadata }, news) };
  }

  async diff({ type, oldInputs, olds, news, ignoreChanges }: DiffRequest): Promise<Diff> {
    const before = comparable(oldInputs);
    const after = comparable(news);
    const changed = changes(before, after);
    for (const path of changed.keys())
      if (ignoreChanges.some((ignored) => isWithin(path, ignored))) changed.delete(path);
    const patch = isPatch(type, news.kind);
    const replaces = patch ? ["metadata.name", "metadata.namespace"] : immutablePaths(news, this.#config);
    const replacing = [...changed.keys()].some((path) => replaces.some((root) => isWithin(path, root)));
    return { changes: changed, replaces, deleteBeforeReplace: replacing && !patch && sameName(olds, after) };
  }

  async create({ urn, type, inputs, preview, timeoutSeconds }: CreateRequest) {
    const patch = isPatch(type, inputs.kind);
    const object = preview && containsUnknown(inputs) ? undefined : toObject(inputs);
    const fieldManager =
      annotation(inputs, ANNOTATIONS.patchFieldManager) ??
      `pulumi-kubernetes-${randomBytes(4).toString("hex")}`;
    if (preview) return { id: "", outputs: await this.#previewCreate(object, patch, inputs) };

    const toCreate = object as KubernetesObject;
    let live: KubernetesObject;
    try {
      const patience = timeoutSeconds * 1000 || (patch ? PATCH_TARGET_TIMEOUT_MS : APPEARANCE_TIMEOUT_MS);
      live = await this.#whenKindExists(urn, patience, async (api) =>
        patch
          ? await this.#applyPatch(api, toCreate, fieldManager)
          : await this.#createOrTakeOver(api, toCreate, fieldManager),
      );
    } catch (error) {
      throw creationError(urn, patch, error);
    }
    this.#log.status(urn, "");
    return await this.#settle(
      live,
      inputs,
      fieldManager,
      timeoutSeconds,
      urn,
      (_id, reason) =>
        `resource "${urn}" was successfully created, but the Kubernetes API server reported that ` +
        `it failed to fully initialize or become live: ${reason}`,
    );
  }

  async read({ type, id, inputs, outputs }: ReadRequest): Promise<ReadResult | undefined> {
    const { namespace, name } = parseId(id);
    const kind = typeof inputs.kind === "string" ? (reveal(inputs) as Properties) : kindOfType(type);
    const reference = { apiVersion: String(kind.apiVersion), kind: String(kind.kind), name, namespace };
    let live: KubernetesObject;
    try {
      live = await (await this.#connect()).get(reference);
    } catch (error) {
      if (isNotFound(error) || this.#isGivenUp(error)) return undefined;
      throw error;
    }
    const imported = Object.keys(inputs).length === 0;
    const { __inputs, __initialApiVersion, ...recorded } = outputs;
    const liveInputs = imported ? importedInputs(live) : liveInputsOf(inputs, recorded, live);
    const manager = typeof outputs.__fieldManager === "string" ? outputs.__fieldManager : "";
    return {
      id,
      inputs: markSecrets(liveInputs, inputs),
      outputs: stateOf(live, liveInputs, inputs, manager),
    };
  }

  async update({ urn, type, inputs, olds, preview, timeoutSeconds }: UpdateRequest): Promise<Properties> {
    const patch = isPatch(type, inputs.kind);
    const recorded = typeof olds.__fieldManager === "string" ? olds.__fieldManager : "";
    const fieldManager = annotation(inputs, ANNOTATIONS.patchFieldManager) ?? (recorded || CREATE_MANAGER);
    if (preview) return await this.#previewUpdate(inputs, fieldManager);

    const object = toObject(inputs);
    let live: KubernetesObject;
    try {
      const api = await this.#connect();
      // A Patch resource never takes over what it was not told to own.
      if (!patch) await adoptFields(api, referenceTo(object), fieldManager);
      live = await this.#apply(api, object, fieldManager);
      if (recorded !== "" && recorded !== fieldManager) await relinquish(api, referenceTo(object), recorded);
    } catch (error) {
      throw new Error(`update of resource "${urn}" failed: ${(error as Error).message}`);
    }
    const { outputs } = await this.#settle(
      live,
      inputs,
      fieldManager,
      timeoutSeconds,
      urn,
      (id, reason) =>
        `the Kubernetes API server reported that "${id}" failed to fully initialize or become live: ${reason}`,
    );
    return outputs;
  }

  async delete({ urn, type, id, outputs, oldInputs, timeoutSeconds }: DeleteRequest): Promise<void> {
    const api = await this.#connect();
    const state = reveal(outputs) as Properties;
    const { namespace, name } = parseId(id);
    const reference = { apiVersion: String(state.apiVersion), kind: String(state.kind), name, namespace };
    try {
      if (isPatch(type, state.kind)) {
        return await relinquish(api, reference, String(state.__fieldManager ?? ""));
      }
      await api.delete(reference, propagationPolicy(oldInputs));
    } catch (error) {
      if (isNotFound(error) || this.#isGivenUp(error)) return;
      throw error;
    }
    if (annotation(oldInputs, ANNOTATIONS.skipAwait) === "true" && DELETED_WITHOUT_WAIT.has(reference.kind))
      return;
    await untilGone(reference, this.#waiting(api, urn, timeoutOf(oldInputs, timeoutSeconds)));
    this.#log.status(urn, "");
  }

  async invoke(token: string): Promise<Properties> {
    throw new Error(
      `function ${token} is not supported by the stand-in plugin, which knows Kubernetes objects only; ` +
        "install the official plugin `pulumi-resource-kubernetes` to use it",
    );
  }

  cancel(): void {
    this.#cancellation.abort();
  }

  /** The user has said that a cluster that cannot be reached is gone with all that was in it. */
  #isGivenUp(error: unknown): boolean {
    return this.#config.deleteUnreachable && error instanceof ClusterUnreachable;
  }

  /** The kubeconfig is read by the first call that needs a server, so that an update without changes needs none. */
  #connect(): Promise<Api> {
    this.#api ??= apiOf(this.#config);
    return this.#api;
  }

  async #mayBeNamespaced({ apiVersion, kind }: Properties): Promise<boolean> {
    if (isKnownClusterScoped(kind)) return false;
    if (typeof apiVersion !== "string" || typeof kind !== "string") return true;
    try {
      return await (await this.#connect()).isNamespaced({ apiVersion, kind });
    } catch (error) {
      if (error instanceof NoSuchKind || error instanceof ClusterUnreachable) return true;
      throw error;
    }
  }

  /** What the server would make of it; the inputs alone where it cannot be asked. */
  async #previewCreate(object: KubernetesObject | undefined, patch: boolean, inputs: Properties) {
    if (object === undefined || patch) return inputs;
    try {
      const api = await this.#connect();
      if (!(await api.exists(object))) return inputs;
      return previewOutputs(await api.create(object, { fieldManager: CREATE_MANAGER, dryRun: true }), inputs);
    } catch (error) {
      if (isNoPreview(error)) return inputs;
      throw error;
    }
  }

  async #previewUpdate(inputs: Properties, fieldManager: string): Promise<Properties> {
    if (containsUnknown(inputs)) return inputs;
    const object = toObject(inputs);
    try {
      const api = await this.#connect();
      if (!(await api.exists(object))) return inputs;
      return previewOutputs(await api.apply(object, { fieldManager, dryRun: true, force: true }), inputs);
    } catch (error) {
      if (isNoPreview(error)) return inputs;
      throw error;
    }
  }

  async #whenKindExists<T>(urn: string, patienceMs: number, write: (api: Api) => Promise<T>): Promise<T> {
    const api = await this.#connect();
    const { signal } = this.#cancellation;
    const end = performance.now() + patienceMs;
    let wait = APPEARANCE_FIRST_RETRY_MS;
    for (let attempt = 1; ; attempt++) {
      try {
        return await write(api);
      } catch (error) {
        if (!isNotFound(error) || signal.aborted || performance.now() + wait > end) throw error;
        this.#log.status(urn, `Retry #${attempt}; creation failed: ${(error as Error).message}`);
      }
      await delay(wait, undefined, { signal });
      wait = Math.min(2 * wait, APPEARANCE_LONGEST_RETRY_MS);
    }
  }

  /** What exists is a fault, unless the program has said that it may be taken over. */
  async #createOrTakeOver(
    api: Api,
    object: KubernetesObject,
    fieldManager: string,
  ): Promise<KubernetesObject> {
    try {
      return await api.create(object, { fieldManager: CREATE_MANAGER });
    } catch (error) {
      const exists = error instanceof ApiError && error.reason === "AlreadyExists";
      if (!exists || !this.#config.upsert) throw error;
      await adoptFields(api, referenceTo(object), fieldManager);
      return await this.#apply(api, object, fieldManager);
    }
  }

  /** Server-side apply would create what is not there, and a patch is of something. */
  async #applyPatch(api: Api, object: KubernetesObject, fieldManager: string): Promise<KubernetesObject> {
    const { metadata } = await api.get(referenceTo(object));
    // With the uid the server refuses to create it anew, should it vanish in between.
    return await this.#apply(
      api,
      { ...object, metadata: { ...object.metadata, uid: metadata.uid as string } },
      fieldManager,
    );
  }

  async #apply(api: Api, object: KubernetesObject, fieldManager: string): Promise<KubernetesObject> {
    const force = this.#config.patchForce || annotation(object, ANNOTATIONS.patchForce) === "true";
    try {
      return await api.apply(object, { fieldManager, force });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 409 || error.reason !== "Conflict") throw error;
      throw new Error(
        "server-side apply field conflict detected; set the annotation " +
          `"${ANNOTATIONS.patchForce}": "true" to take the fields over\n` +
          `The resource managed by field manager "${fieldManager}" had an apply conflict: ${error.message}`,
      );
    }
  }

  /** Waits for a written object and makes the state of it; one that does not get well is recorded all the same. */
  async #settle(
    written: KubernetesObject,
    inputs: Properties,
    fieldManager: string,
    timeoutSeconds: number,
    urn: string,
    describe: (id: string, reason: string) => string,
  ) {
    const id = idOf(written);
    const outputs = (live: KubernetesObject) => stateOf(live, inputs, inputs, fieldManager);
    if (annotation(inputs, ANNOTATIONS.skipAwait) === "true") return { id, outputs: outputs(written) };
    try {
      const waiting = this.#waiting(await this.#connect(), urn, timeoutOf(inputs, timeoutSeconds));
      const live = await untilReady(written, waiting);
      this.#log.status(urn, "");
      return { id, outputs: outputs(live) };
    } catch (error) {
      const { message } = error as Error;
      const [live, reasons] = error instanceof NotReady ? [error.live, error.reasons] : [written, []];
      throw new InitializationError(describe(id, message), id, outputs(live), reasons, inputs);
    }
  }

  #waiting(api: Api, urn: string, timeoutSeconds: number): Waiting {
    return {
      api,
      timeoutSeconds,
      signal: this.#cancellation.signal,
      onStatus: (text) => this.#log.status(urn, text),
    };
  }
}

interface Config {
  kubeconfig?: string;
  context?: string;
  cluster?: string;
  namespace?: string;
  configMapMutable: boolean;
  secretMutable: boolean;
  patchForce: boolean;
  upsert: boolean;
  deleteUnreachable: boolean;
}

/** Provider arguments arrive as JSON text where they are no strings. */
function readConfig(args: Properties): Config {
  const plain = reveal(args) as Properties;
  const text = (key: string) =>
    typeof plain[key] === "string" && plain[key] !== "" ? plain[key] : undefined;
  const flag = (key: string, variable: string) =>
    (plain[key] === undefined ? process.env[variable] : String(plain[key])) === "true";
  if (String(plain.enableServerSideApply ?? "true") === "false")
    throw new Error("enableServerSideApply: false is not supported by the stand-in plugin");
  const optional = Object.entries({
    kubeconfig: text("kubeconfig"),
    context: text("context"),
    cluster: text("cluster"),
    namespace: text("namespace"),
  }).filter(([, value]) => value !== undefined);
  return {
    ...Object.fromEntries(optional),
    configMapMutable: flag("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
    secretMutable: flag("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
    patchForce: flag("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
    upsert: flag("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
    deleteUnreachable: flag("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE"),
  };
}

/** Another cluster replaces everything; whether it is another one only `clusterIdentifier` tells for sure. */
async function configReplaces(olds: Properties, news: Properties, changed: Changes): Promise<string[]> {
  const [before, after] = [olds.clusterIdentifier, news.clusterIdentifier];
  if (before !== undefined && after !== undefined) return equal(before, after) ? [] : ["clusterIdentifier"];
  const keys = ["kubeconfig", "context", "cluster"];
  const unknown = keys.filter((key) => news[key] !== undefined && containsUnknown(news[key]));
  if (unknown.length > 0) return unknown;
  const { clusterOf } = await kubeconfigReader();
  const [was, is] = [olds, news].map((args) => clusterOf(readConfig(args)));
  if (was === undefined || is === undefined || equal(was as Value, is as Value)) return [];
  return keys.filter((key) => changed.has(key));
}

async function apiOf(config: Config): Promise<Api> {
  const { loadAccess } = await kubeconfigReader();
  const access = await loadAccess(config);
  return new Api(config.namespace ? { ...access, namespace: config.namespace } : access);
}

/** A tenth of this plugin's start-up time, and many an update never needs a server. */
const kubeconfigReader = () => import("../../../clients/kubeconfig.ts");

function withoutVersion({ version: _, ...rest }: Properties): Properties {
  return rest;
}

function autoname(
  metadata: Properties,
  name: string,
  olds: Properties | undefined,
  randomSeed: Uint8Array,
): void {
  const old = isObject(olds?.metadata) ? olds.metadata : undefined;
  const adopted =
    olds !== undefined && annotation(olds, ANNOTATIONS.autonamed) === "true" ? old?.name : undefined;
  const suffix = (randomSeed.length > 0 ? Buffer.from(randomSeed.slice(0, 4)) : randomBytes(4)).toString(
    "hex",
  );
  metadata.name = adopted ?? `${name}-${suffix}`;
  const annotations = isObject(metadata.annotations) ? metadata.annotations : {};
  metadata.annotations = { ...annotations, [ANNOTATIONS.autonamed]: "true" };
}

/** No namespace and "default" are the same; a kind without namespaces has none whatever the program says. */
function comparable(inputs: Properties): Properties {
  const normal = normalize(inputs);
  if (!isObject(normal.metadata)) return normal;
  const { namespace, ...metadata } = normal.metadata;
  if (isKnownClusterScoped(normal.kind)) return { ...normal, metadata };
  return { ...normal, metadata: { ...metadata, namespace: namespace || "default" } };
}

/** The new object would take the old one's place, which has to be free then. */
function sameName(olds: Properties, after: Properties): boolean {
  if (annotation(after, ANNOTATIONS.autonamed) === "true") return false;
  const [before, now] = [reveal(olds.metadata ?? null), reveal(after.metadata ?? null)];
  if (!isObject(before) || !isObject(now)) return false;
  const sameNamespace = now.namespace === undefined || (before.namespace ?? "default") === now.namespace;
  return before.name === now.name && sameNamespace;
}

function stateOf(
  live: KubernetesObject,
  inputs: Properties,
  secrets: Properties,
  fieldManager: string,
): Properties {
  return {
    ...markSecrets(toOutputs(live), secrets),
    __inputs: markSecrets(inputs, secrets),
    __initialApiVersion: live.apiVersion,
    __fieldManager: fieldManager,
  };
}

/** A status from a dry run is empty, and a program that reads it would see nothing where later something is. */
function previewOutputs(live: KubernetesObject, inputs: Properties): Properties {
  const { status: _, ...outputs } = toOutputs(live);
  return markSecrets(outputs, inputs);
}

/** The server cannot say what it would do; that is no fault of the program. */
function isNoPreview(error: unknown): boolean {
  if (error instanceof ClusterUnreachable || error instanceof NoSuchKind) return true;
  if (!(error instanceof ApiError)) return false;
  return (
    error.code === 403 ||
    error.code === 404 ||
    error.reason === "AlreadyExists" ||
    /dry.?run/i.test(error.message)
  );
}

function creationError(urn: string, patch: boolean, error: unknown): Error {
  const { message } = error as Error;
  if (error instanceof NoSuchKind)
    return new Error(
      `creation of resource "${urn}" failed because the Kubernetes API server reported that the apiVersion for ` +
        `this resource does not exist. Verify that any required CRDs have been created: ${message}`,
    );
  let advice = "";
  if (error instanceof ApiError && error.reason === "AlreadyExists") advice = ALREADY_EXISTS_ADVICE;
  else if (patch && isNotFound(error))
    advice = "; a Patch resource changes an object that exists, so create it first";
  return new Error(
    `resource "${urn}" was not successfully created by the Kubernetes API server: ${message}${advice}`,
  );
}

const ALREADY_EXISTS_ADVICE = `

The resource already exists in the cluster. This can happen when:

  - somebody else made it: use another name, or a Patch resource to manage single fields of it
  - a Pulumi resource was renamed: use an alias to keep its identity
  - it should become part of this program: use \`pulumi import\``;

/** Gives the manager's fields up; those that nobody else owns go. */
async function relinquish(api: Api, reference: Reference, fieldManager: string): Promise<void> {
  try {
    const live = await api.get(reference);
    const { apiVersion, kind, metadata } = live;
    // With the uid the server refuses to create it anew, should it vanish in between.
    const nothing = { apiVersion, kind, metadata: pick(metadata, ["name", "namespace", "uid"]) };
    await api.apply(nothing, { fieldManager, force: true });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

function pick(object: Properties, keys: string[]): Properties {
  return Object.fromEntries(Object.entries(object).filter(([key]) => keys.includes(key)));
}

function propagationPolicy(inputs: Properties): string {
  const wanted = annotation(inputs, ANNOTATIONS.deletionPropagation)?.toLowerCase();
  return wanted === "orphan" ? "Orphan" : wanted === "background" ? "Background" : "Foreground";
}

/** For these kinds the official provider lets `skipAwait` hold for deletion too. */
const DELETED_WITHOUT_WAIT = new Set([
  "DaemonSet",
  "Deployment",
  "Job",
  "Namespace",
  "Pod",
  "ReplicationController",
  "StatefulSet",
]);

/** An object that Pulumi sees for the first time, as somebody would have written it. */
function importedInputs(live: KubernetesObject): Properties {
  const { status: _, ...inputs } = toOutputs(live);
  return normalize(inputs);
}

function liveInputsOf(inputs: Properties, recorded: Properties, live: KubernetesObject): Properties {
  const plain = reveal(inputs) as Properties;
  return (drifted(plain, reveal(recorded), toOutputs(live)) ?? {}) as Properties;
}

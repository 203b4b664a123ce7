/**
 * Creates, reads, updates and deletes the program's kinds of objects, with the official provider's semantics.
 */
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
} from "../provider.ts";
import { changes, containsUnknown, isWithin, type Properties, reveal, unsupported } from "../values.ts";
import { NotReady, requireReady, timeoutOf, untilGone, untilReady } from "./awaiting.ts";
import {
  Cluster,
  ClusterUnreachable,
  isNotFound,
  type KubernetesObject,
  NoSuchKind,
  referenceTo,
} from "./cluster.ts";
import { type Config, configReplaces, readConfig, writeKubeconfig } from "./config.ts";
import { liveInputs, markSecrets, stateOf } from "./drift.ts";
import {
  comparable,
  idOf,
  immutablePaths,
  isPatch,
  normalize,
  parseId,
  propagationPolicy,
  sameName,
  toObject,
  unsupportedPart,
} from "./objects.ts";
import { adoptFields } from "./ownership.ts";
import { previewOf } from "./preview.ts";
import {
  type ApplyOptions,
  apply,
  creationError,
  fieldManagerOf,
  relinquish,
  whenKindExists,
} from "./writing.ts";

export class KubernetesProvider implements Provider {
  readonly #log: Log;
  readonly #reach: typeof Cluster.connect;
  readonly #cancellation = new AbortController();
  #config: Config = readConfig({});
  #cluster: Promise<Cluster> | undefined;

  /** @param connect how a cluster is reached */
  constructor(log: Log, connect: typeof Cluster.connect = (config) => Cluster.connect(config)) {
    this.#log = log;
    this.#reach = connect;
  }

  async diffConfig(olds: Properties, news: Properties): Promise<Diff> {
    const changed = changes(withoutVersion(olds), withoutVersion(news));
    return { changes: changed, replaces: configReplaces(olds, news) };
  }

  async configure(args: Properties): Promise<void> {
    const config = readConfig(args);
    void this.#cluster?.then((cluster) => cluster.close()).catch(() => {});
    this.#cluster = undefined;
    try {
      this.#config = { ...config, kubeconfig: config.kubeconfig && writeKubeconfig(config.kubeconfig) };
    } catch (error) {
      // The first request reports it: an update without changes needs no cluster.
      this.#config = config;
      this.#cluster = Promise.reject(new ClusterUnreachable((error as Error).message));
      this.#cluster.catch(() => {});
    }
  }

  async check({ type, news }: CheckRequest): Promise<CheckResult> {
    const lacking = unsupportedPart(type, news);
    if (lacking !== undefined) throw new Error(lacking);
    if (this.#config.lacking !== undefined)
      throw new Error(unsupported(`a provider without argument ${this.#config.lacking}`));
    return { inputs: markSecrets(normalize(news), news) };
  }

  async diff({ type, oldInputs, olds, news }: DiffRequest): Promise<Diff> {
    const after = comparable(news);
    const changed = changes(comparable(oldInputs), after);
    const patch = isPatch(type, news.kind);
    const replaces = patch ? ["metadata.name", "metadata.namespace"] : immutablePaths(news);
    const replacing = [...changed.keys()].some((path) => replaces.some((root) => isWithin(path, root)));
    return { changes: changed, replaces, deleteBeforeReplace: replacing && !patch && sameName(olds, after) };
  }

  async create({ urn, type, inputs, preview, timeoutSeconds }: CreateRequest) {
    const patch = isPatch(type, inputs.kind);
    const fieldManager = fieldManagerOf(inputs);
    if (preview)
      return { id: "", outputs: patch ? inputs : await this.#preview(urn, inputs, { fieldManager }) };
    const cluster = await this.#connect();
    const object = toObject(inputs);
    const force = this.#config.patchForce;
    let live: KubernetesObject;
    try {
      live = await whenKindExists(() => apply(cluster, object, { fieldManager, force }), {
        signal: this.#cancellation.signal,
        onRetry: (text) => this.#log.status(urn, text),
      });
    } catch (error) {
      throw creationError(urn, object, error);
    }
    this.#log.status(urn, "");
    return await this.#settle(
      live,
      { urn, inputs, fieldManager, timeoutSeconds },
      () =>
        `resource "${urn}" was successfully created, but the Kubernetes API server ` +
        "reported that it failed to fully initialize or become live",
    );
  }

  async read({ urn, id, inputs, outputs }: ReadRequest): Promise<ReadResult | undefined> {
    const { namespace, name } = parseId(id);
    const from = [inputs, outputs].find(({ kind }) => kind !== undefined);
    if (from === undefined) throw new Error(unsupported("a read of an object that is in no state"));
    const { apiVersion, kind } = reveal(from) as Properties;
    let live: KubernetesObject;
    let cluster: Cluster;
    try {
      cluster = await this.#connect();
      live = await cluster.get({ apiVersion: String(apiVersion), kind: String(kind), name, namespace });
    } catch (error) {
      if (isNotFound(error) || this.#isGivenUp(error)) return undefined;
      if (!(error instanceof ClusterUnreachable)) throw error;
      this.#log.message(urn, "warning", error.message);
      throw new Error(`failed to read resource state due to unreachable cluster. ${UNREACHABLE_ADVICE}`);
    }
    const { __inputs, __initialApiVersion, ...recorded } = outputs;
    const found = liveInputs(inputs, recorded, live);
    const result: ReadResult = {
      id,
      inputs: markSecrets(found, inputs),
      outputs: stateOf(live, found, inputs, fieldManagerOf(inputs, outputs)),
    };
    try {
      await requireReady(live, cluster);
    } catch (error) {
      if (!(error instanceof NotReady)) throw error;
      throw new InitializationError(error.message, id, result.outputs, [...error.reasons], result.inputs);
    }
    return result;
  }

  async update({ urn, type, inputs, olds, oldInputs, preview, timeoutSeconds }: UpdateRequest) {
    const previousManager = fieldManagerOf(oldInputs, olds);
    const fieldManager = fieldManagerOf(inputs, { __fieldManager: previousManager });
    const force = this.#config.patchForce;
    if (preview) return await this.#preview(urn, inputs, { fieldManager, force });
    const cluster = await this.#connect();
    const object = toObject(inputs);
    let live: KubernetesObject;
    try {
      await cluster.get(referenceTo(object));
      // A Patch resource owns only the fields that the program sets, and adopts none.
      if (!isPatch(type, inputs.kind)) await adoptFields(cluster, referenceTo(object), fieldManager);
      live = await apply(cluster, object, { fieldManager, force });
    } catch (error) {
      throw new Error(`update of resource "${urn}" failed: ${(error as Error).message}`);
    }
    const { outputs } = await this.#settle(
      live,
      { urn, inputs, fieldManager, timeoutSeconds },
      (id) => `the Kubernetes API server reported that "${id}" failed to fully initialize or become live`,
    );
    if (previousManager !== fieldManager) await relinquish(cluster, live, previousManager);
    return outputs;
  }

  async delete({ urn, type, id, outputs, oldInputs, timeoutSeconds }: DeleteRequest): Promise<void> {
    const state = reveal(outputs) as Properties;
    const { namespace, name } = parseId(id);
    const reference = { apiVersion: String(state.apiVersion), kind: String(state.kind), name, namespace };
    let cluster: Cluster;
    try {
      cluster = await this.#connect();
      if (isPatch(type, state.kind))
        return await relinquish(cluster, toObject(state), fieldManagerOf(oldInputs, state));
      await cluster.delete(reference, propagationPolicy(oldInputs));
    } catch (error) {
      if (error instanceof NoSuchKind || this.#isGivenUp(error)) return;
      if (!(error instanceof ClusterUnreachable)) throw error;
      this.#log.message(urn, "warning", error.message);
      throw new Error(`configured Kubernetes cluster is unreachable. ${UNREACHABLE_ADVICE}`);
    }
    await untilGone(reference, this.#waiting(cluster, urn, timeoutOf(timeoutSeconds)));
    this.#log.status(urn, "");
  }

  cancel(): void {
    this.#cancellation.abort();
  }

  /** With `deleteUnreachable`, an unreachable cluster counts as gone, with all its objects. */
  #isGivenUp(error: unknown): boolean {
    return this.#config.deleteUnreachable && error instanceof ClusterUnreachable;
  }

  /** Connects at the first call that needs a server, so that an update without changes starts no kubectl. */
  #connect(): Promise<Cluster> {
    this.#cluster ??= this.#reach(this.#config);
    return this.#cluster;
  }

  /** The server's result of a dry run; the inputs where it has none. */
  async #preview(urn: string, inputs: Properties, options: ApplyOptions): Promise<Properties> {
    if (containsUnknown(inputs)) return inputs;
    try {
      return await previewOf(await this.#connect(), inputs, options);
    } catch (error) {
      if (!(error instanceof ClusterUnreachable)) throw error;
      this.#log.message(urn, "warning", error.message);
      return inputs;
    }
  }

  /**
   * Waits for a written object and makes its state. An object that does not become ready is recorded all the
   * same.
   */
  async #settle(
    written: KubernetesObject,
    { urn, inputs, fieldManager, timeoutSeconds }: Settling,
    describe: (id: string) => string,
  ) {
    const id = idOf(written);
    const outputs = (live: KubernetesObject) => stateOf(live, inputs, inputs, fieldManager);
    try {
      const waiting = this.#waiting(await this.#connect(), urn, timeoutOf(timeoutSeconds));
      const live = await untilReady(written, waiting);
      this.#log.status(urn, "");
      return { id, outputs: outputs(live) };
    } catch (error) {
      if (!(error instanceof NotReady)) throw error;
      const message = `${describe(id)}: ${error.message}`;
      throw new InitializationError(message, id, outputs(error.live), [...error.reasons], inputs);
    }
  }

  #waiting(cluster: Cluster, urn: string, timeoutSeconds: number) {
    return {
      cluster,
      timeoutSeconds,
      signal: this.#cancellation.signal,
      onStatus: (text: string, severity: "info" | "warning") => this.#log.status(urn, text, severity),
    };
  }
}

interface Settling {
  readonly urn: string;
  readonly inputs: Properties;
  readonly fieldManager: string;
  readonly timeoutSeconds: number;
}

const UNREACHABLE_ADVICE =
  "If the cluster was deleted, you can remove this resource from Pulumi state by rerunning the " +
  'operation with the PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"';

function withoutVersion({ version: _, ...rest }: Properties): Properties {
  return rest;
}

/** `local.Command` and `remote.Command`, with the official provider's semantics and wording. */
import { randomBytes } from "node:crypto";
import type {
  CheckRequest,
  CheckResult,
  CreateRequest,
  DeleteRequest,
  Diff,
  DiffRequest,
  Log,
  Provider,
  ReadRequest,
  ReadResult,
  UpdateRequest,
} from "../provider.ts";
import {
  changes,
  equal,
  isObject,
  type Properties,
  reveal,
  Secret,
  UNKNOWN,
  unsupported,
} from "../values.ts";
import { runLocally } from "./local.ts";
import type { CommandRun, Output } from "./transcript.ts";

type Runner = (run: CommandRun) => Promise<Output>;

export class CommandProvider implements Provider {
  readonly #log: Log;
  readonly #cancellation = new AbortController();

  constructor(log: Log) {
    this.#log = log;
  }

  async check({ type, news }: CheckRequest): Promise<CheckResult> {
    runnerOf(type);
    const known = type === REMOTE ? REMOTE_INPUTS : LOCAL_INPUTS;
    const failures = Object.keys(withoutInternals(news))
      .filter((property) => news[property] !== undefined && !known.includes(property))
      .map((property) => ({ property, reason: unsupported(property) }));
    if (news.addPreviousOutputInEnv !== false)
      failures.push({
        property: "addPreviousOutputInEnv",
        reason: unsupported("the previous output in the environment"),
      });
    if (type !== REMOTE) return { inputs: news, failures };
    const { connection, failure } = checkConnection(news.connection);
    return { inputs: { ...news, connection }, failures: failure ? [...failures, failure] : failures };
  }

  async diff({ oldInputs, news }: DiffRequest): Promise<Diff> {
    return { changes: changes(withoutInternals(oldInputs), withoutInternals(news)), replaces: [] };
  }

  async create({ urn, type, name, inputs, preview }: CreateRequest) {
    const runner = runnerOf(type);
    const id = name + randomBytes(4).toString("hex");
    if (preview) return { id, outputs: { ...inputs, stdout: UNKNOWN, stderr: UNKNOWN } };
    return {
      id,
      outputs: { ...inputs, ...(await this.#run(runner, urn, inputs.create, inputs, NO_OUTPUT)) },
    };
  }

  /** The effect of a command cannot be read back, so the state stays as it is. */
  async read({ id, inputs, outputs }: ReadRequest): Promise<ReadResult> {
    return { id, inputs, outputs };
  }

  async update({ urn, type, inputs, olds, preview }: UpdateRequest) {
    const runner = runnerOf(type);
    const previous = previousOutput(olds);
    if (preview) {
      const same = Object.keys(inputs).every((key) => equal(inputs[key], olds[key]));
      return { ...inputs, ...(same ? previous : { stdout: UNKNOWN, stderr: UNKNOWN }) };
    }
    return { ...inputs, ...(await this.#run(runner, urn, inputs.update ?? inputs.create, inputs, previous)) };
  }

  async delete({ urn, type, outputs: state }: DeleteRequest) {
    await this.#run(runnerOf(type), urn, state.delete, state, previousOutput(state));
  }

  cancel(): void {
    this.#cancellation.abort();
  }

  /**
   * Runs a command. Without a command the previous output stays. The outputs are plain, also where inputs are
   * secret: the official provider marks an output only where an input of the same name is a secret.
   */
  async #run(
    runner: Runner,
    urn: string,
    command: unknown,
    settings: Properties,
    previous: Output,
  ): Promise<Output> {
    const plain = reveal(command as Properties[string]);
    if (typeof plain !== "string") return previous;
    return await runner({
      command: plain,
      settings: reveal(settings) as Properties,
      signal: this.#cancellation.signal,
      onLine: (line) => this.#log.status(urn, line),
    });
  }
}

const LOCAL = "command:local:Command";
const REMOTE = "command:remote:Command";
/** The inputs that the program sets. */
const REMOTE_INPUTS = ["addPreviousOutputInEnv", "connection", "create", "delete", "stdin", "update"];
const LOCAL_INPUTS = ["addPreviousOutputInEnv", "create", "delete", "environment", "stdin", "update"];
const NO_OUTPUT: Output = { stdout: "", stderr: "" };
/** Loaded by the first remote command only. */
const runRemotely: Runner = async (run) => (await import("./remote.ts")).runRemotely(run);

function runnerOf(type: string): Runner {
  if (type === LOCAL) return runLocally;
  if (type === REMOTE) return runRemotely;
  throw new Error(unsupported(`resource type ${type}`));
}

/** The output that a resource's state holds. */
function previousOutput(state: Properties): Output {
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return { stdout: text(reveal(state.stdout ?? "")), stderr: text(reveal(state.stderr ?? "")) };
}

/** Defaults of the official provider; times in seconds. */
const CONNECTION_DEFAULTS = { user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 };
/** The fields of a connection that the program sets. */
const CONNECTION_INPUTS = ["host", "hostKey", "privateKey", ...Object.keys(CONNECTION_DEFAULTS)];

/** The whole connection is a secret, as in the official provider, because it can hold a private key. */
function checkConnection(given: Properties[string] | undefined) {
  if (given === undefined) {
    return { connection: null, failure: { property: "connection", reason: "is required" } };
  }
  const inner = given instanceof Secret ? given.value : given;
  if (!isObject(inner)) return { connection: new Secret(inner) };
  const connection = new Secret({ ...CONNECTION_DEFAULTS, ...inner });
  if (inner.host === undefined || reveal(inner.host) === "")
    return { connection, failure: { property: "connection.host", reason: "is required" } };
  const other = Object.keys(inner).find((name) => !CONNECTION_INPUTS.includes(name));
  const property = `connection.${other}`;
  return other === undefined
    ? { connection }
    : { connection, failure: { property, reason: unsupported(property) } };
}

/** Drops the version, which the engine adds, and names with two underscores, which are Pulumi's own. */
function withoutInternals(inputs: Properties): Properties {
  return Object.fromEntries(
    Object.entries(inputs).filter(([key]) => key !== "version" && !key.startsWith("__")),
  );
}

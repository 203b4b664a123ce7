/** `local.Command`, `remote.Command` and the function `local.run`, with the official provider's semantics and wording. */
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
} from "../protocol.ts";
import {
  changes,
  containsSecret,
  equal,
  isObject,
  type Properties,
  reveal,
  Secret,
  UNKNOWN,
} from "../values.ts";
import { type CommandRun, type Output, previousOutput, runLocally } from "./local.ts";

type Runner = (run: CommandRun) => Promise<Output>;

export class CommandProvider implements Provider {
  readonly #log: Log;
  readonly #cancellation = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(log: Log) {
    this.#log = log;
  }

  async check({ type, news }: CheckRequest): Promise<CheckResult> {
    runnerOf(type);
    const failures = unsupported(news);
    if (type !== REMOTE) return { inputs: news, failures };
    const { connection, failure } = checkConnection(news.connection);
    return { inputs: { ...news, connection }, failures: failure ? [...failures, failure] : failures };
  }

  async diff({ oldInputs, news }: DiffRequest): Promise<Diff> {
    return { changes: changes(withoutInternals(oldInputs), withoutInternals(news)), replaces: ["triggers"] };
  }

  async create({ urn, type, name, inputs, preview }: CreateRequest) {
    const runner = runnerOf(type);
    const id = name + randomBytes(4).toString("hex");
    if (preview) return { id, outputs: outputs(inputs, { stdout: UNKNOWN, stderr: UNKNOWN }) };
    const output = await this.#run(runner, urn, inputs.create, inputs, NO_OUTPUT);
    return { id, outputs: outputs(inputs, output) };
  }

  /** What a command did cannot be read back; as with the official provider the state stays as it is. */
  async read({ id, inputs, outputs }: ReadRequest): Promise<ReadResult> {
    return { id, inputs, outputs };
  }

  async update({ urn, type, inputs, olds, preview }: UpdateRequest) {
    const runner = runnerOf(type);
    const previous = previousOutput(olds);
    if (preview) {
      const same = Object.keys(inputs).every((key) => equal(inputs[key], olds[key]));
      return outputs(inputs, same ? previous : { stdout: UNKNOWN, stderr: UNKNOWN });
    }
    const output = await this.#run(runner, urn, inputs.update ?? inputs.create, inputs, previous);
    return outputs(inputs, output);
  }

  async delete({ urn, type, outputs: state }: DeleteRequest) {
    await this.#run(runnerOf(type), urn, state.delete, state, previousOutput(state));
  }

  async invoke(token: string, args: Properties): Promise<Properties> {
    if (token !== "command:local:run") throw new Error(`function ${token} is not supported by the stand-in`);
    const output = await this.#run(LOCAL_RUNNER, "", args.command, args, NO_OUTPUT);
    return outputs(args, output);
  }

  async cancel(): Promise<void> {
    this.#cancellation.abort();
    await Promise.allSettled(this.#running);
  }

  /** Runs a command if there is one; without, what was printed last stays. */
  async #run(
    runner: Runner,
    urn: string,
    command: unknown,
    settings: Properties,
    previous: Output,
  ): Promise<Output> {
    const plain = reveal(command as Properties[string]);
    if (typeof plain !== "string") return previous;
    const run = runner({
      command: plain,
      settings: reveal(settings) as Properties,
      previous,
      signal: this.#cancellation.signal,
      onLine: (line) => this.#log.status(urn, line),
      onWarning: (text) => this.#log.message(urn, "warning", text),
    });
    this.#running.add(run);
    try {
      return await run;
    } finally {
      this.#running.delete(run);
    }
  }
}

const LOCAL = "command:local:Command";
const REMOTE = "command:remote:Command";
const NO_OUTPUT: Output = { stdout: "", stderr: "" };
const LOCAL_RUNNER: Runner = runLocally;
/** ssh2 is loaded by the first remote command only. */
const REMOTE_RUNNER: Runner = async (run) => (await import("./remote.ts")).runRemotely(run);

function runnerOf(type: string): Runner {
  if (type === LOCAL) return LOCAL_RUNNER;
  if (type === REMOTE) return REMOTE_RUNNER;
  throw new Error(
    `resource type ${type} is not supported by the stand-in plugin, which knows ${LOCAL} and ${REMOTE}; ` +
      "install the official plugin `pulumi-resource-command` to use it",
  );
}

function unsupported(news: Properties) {
  return ["assetPaths", "archivePaths"]
    .filter((property) => news[property] !== undefined)
    .map((property) => ({ property, reason: "is not supported by the stand-in plugin" }));
}

/** Defaults of the official provider; times in seconds. */
const CONNECTION_DEFAULTS = { user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 };

/** The whole connection is a secret, as the official provider makes it: it may hold a private key. */
function checkConnection(given: Properties[string] | undefined) {
  if (given === undefined) {
    return { connection: null, failure: { property: "connection", reason: "is required" } };
  }
  const inner = given instanceof Secret ? given.value : given;
  if (!isObject(inner)) return { connection: new Secret(inner) };
  const connection = new Secret({ ...CONNECTION_DEFAULTS, ...inner });
  if (inner.host === undefined || reveal(inner.host) === "")
    return { connection, failure: { property: "connection.host", reason: "is required" } };
  if (inner.proxy !== undefined)
    return {
      connection,
      failure: { property: "connection.proxy", reason: "is not supported by the stand-in plugin" },
    };
  return { connection };
}

/** The engine adds the version; names with two underscores are Pulumi's own. */
function withoutInternals(inputs: Properties): Properties {
  return Object.fromEntries(
    Object.entries(inputs).filter(([key]) => key !== "version" && !key.startsWith("__")),
  );
}

/** Every output depends on every input: one secret among these makes both of those secret. */
function outputs(
  inputs: Properties,
  { stdout, stderr }: { stdout: Properties[string]; stderr: Properties[string] },
) {
  const secret = containsSecret(inputs);
  const mark = (text: Properties[string]) => (secret ? new Secret(text) : text);
  return { ...inputs, stdout: mark(stdout), stderr: mark(stderr) };
}

/**
 * Talks to a stand-in plugin as Pulumi's engine does: a process of its own, gRPC, and a log to send lines to.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { empty, serve, unary } from "../../embedded/plugins/server.ts";
import {
  engineServices,
  fromStruct,
  type Message,
  messages,
  services,
  status,
  toStruct,
} from "../../embedded/plugins/stubs.ts";
import type { Properties } from "../../embedded/plugins/values.ts";

export interface LogLine {
  urn: string;
  text: string;
  ephemeral: boolean;
}

export interface UpdateArguments {
  id: string;
  olds: Properties;
  oldInputs: Properties;
  news: Properties;
  preview?: boolean;
  timeout?: number;
}

export class Plugin {
  readonly log: LogLine[] = [];
  readonly #process: ChildProcess;
  readonly #client: grpc.Client & Record<string, unknown>;

  /** @param file below embedded/plugins */
  static async start(file: string, env: Record<string, string> = {}): Promise<Plugin> {
    const { log, address } = await startEngine();
    const { child, port } = await startPlugin(file, [address], env);
    return new Plugin(child, clientOf(port), log);
  }

  /** The plugin is a child of a process that can be killed, as the engine can. */
  static async startBelowEngine(file: string) {
    const { log, address } = await startEngine();
    const script = `"$0" "$@" & echo $! >&2; wait`;
    const engine = spawn("/bin/sh", ["-c", script, process.execPath, pathOf(file), address], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [port, pid] = await Promise.all(
      [engine.stdout, engine.stderr].map(async (stream) => String((await once(stream, "data"))[0]).trim()),
    );
    const killEngine = async () => {
      const exit = once(engine, "exit");
      engine.kill("SIGKILL");
      await exit;
    };
    const plugin = new Plugin(engine, clientOf(`${port}`), log);
    return { plugin, port: `${port}`, killEngine, pid: Number(pid) };
  }

  private constructor(child: ChildProcess, client: grpc.Client & Record<string, unknown>, log: LogLine[]) {
    this.#process = child;
    this.#client = client;
    this.log = log;
  }

  /** Ends it as the engine does, and returns its exit code. */
  async stop(): Promise<number | null> {
    this.#client.close();
    if (this.#process.exitCode !== null) return this.#process.exitCode;
    const exited = once(this.#process, "exit") as Promise<[number | null]>;
    this.#process.kill("SIGINT");
    return (await exited)[0];
  }

  async configure(args: Properties): Promise<void> {
    await this.#call("configure", new messages.ConfigureRequest().setArgs(toStruct(args)));
  }

  async diffConfig(olds: Properties, news: Properties) {
    const request = new messages.DiffRequest().setOldInputs(toStruct(olds)).setNews(toStruct(news));
    return diffOf(await this.#call("diffConfig", request));
  }

  async check(urn: string, news: Properties, olds?: Properties) {
    const request = new messages.CheckRequest().setUrn(urn).setNews(toStruct(news));
    if (olds !== undefined) request.setOlds(toStruct(olds));
    const response = await this.#call<Message<"CheckResponse">>("check", request);
    return {
      inputs: fromStruct(response.getInputs()),
      failures: response
        .getFailuresList()
        .map((failure) => `${failure.getProperty()}: ${failure.getReason()}`),
    };
  }

  async diff(urn: string, { id, olds, oldInputs, news }: UpdateArguments) {
    const request = new messages.DiffRequest()
      .setUrn(urn)
      .setId(id)
      .setOlds(toStruct(olds))
      .setOldInputs(toStruct(oldInputs))
      .setNews(toStruct(news));
    return diffOf(await this.#call("diff", request));
  }

  async create(urn: string, inputs: Properties, { preview = false, timeout = 0 } = {}) {
    const request = new messages.CreateRequest()
      .setUrn(urn)
      .setProperties(toStruct(inputs))
      .setPreview(preview)
      .setTimeout(timeout);
    const response = await this.#call<Message<"CreateResponse">>("create", request);
    return { id: response.getId(), outputs: fromStruct(response.getProperties()) };
  }

  async read(urn: string, id: string, inputs: Properties = {}, outputs: Properties = {}) {
    const request = new messages.ReadRequest()
      .setUrn(urn)
      .setId(id)
      .setInputs(toStruct(inputs))
      .setProperties(toStruct(outputs));
    const response = await this.#call<Message<"ReadResponse">>("read", request);
    return {
      id: response.getId(),
      inputs: fromStruct(response.getInputs()),
      outputs: fromStruct(response.getProperties()),
    };
  }

  async update(urn: string, { id, olds, oldInputs, news, preview = false, timeout = 0 }: UpdateArguments) {
    const request = new messages.UpdateRequest()
      .setUrn(urn)
      .setId(id)
      .setOlds(toStruct(olds))
      .setOldInputs(toStruct(oldInputs))
      .setNews(toStruct(news))
      .setPreview(preview)
      .setTimeout(timeout);
    const response = await this.#call<Message<"UpdateResponse">>("update", request);
    return fromStruct(response.getProperties());
  }

  async delete(urn: string, id: string, outputs: Properties, oldInputs: Properties = {}, timeout = 0) {
    const request = new messages.DeleteRequest()
      .setUrn(urn)
      .setId(id)
      .setProperties(toStruct(outputs))
      .setOldInputs(toStruct(oldInputs))
      .setTimeout(timeout);
    await this.#call("delete", request);
  }

  async invoke(token: string, args: Properties): Promise<Properties> {
    const request = new messages.InvokeRequest().setTok(token).setArgs(toStruct(args));
    return fromStruct((await this.#call<Message<"InvokeResponse">>("invoke", request)).getReturn());
  }

  async cancel(): Promise<void> {
    await this.#call("cancel", empty());
  }

  #call<Response>(method: string, request: unknown): Promise<Response> {
    type Method = (
      request: unknown,
      answer: (error: grpc.ServiceError | null, response: Response) => void,
    ) => void;
    return new Promise((resolve, reject) => {
      (this.#client[method] as Method).call(this.#client, request, (error, response) =>
        error === null ? resolve(response) : reject(new CallError(error)),
      );
    });
  }
}

/**
 * A plugin's process, once it has printed its port.
 * @param file below embedded/plugins
 */
export async function startPlugin(file: string, args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [pathOf(file), ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (line: Buffer) => resolve(line.toString().trim()));
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code} before it printed its port`)));
  });
  return { child, port };
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(`../../embedded/plugins/${file}`, import.meta.url));
}

function clientOf(port: string) {
  const client = new services.ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  return client as unknown as grpc.Client & Record<string, unknown>;
}

/** A fake engine that receives log lines. */
async function startEngine(): Promise<{ log: LogLine[]; address: string }> {
  const log: LogLine[] = [];
  const port = await serve(engineServices.EngineService, {
    log: unary((request: { getUrn(): string; getMessage(): string; getEphemeral(): boolean }) => {
      log.push({ urn: request.getUrn(), text: request.getMessage(), ephemeral: request.getEphemeral() });
      return empty();
    }),
  });
  return { log, address: `127.0.0.1:${port}` };
}

/** A call's error as the engine gets it: its text, and the resource that is not ready, if there is one. */
class CallError extends Error {
  readonly partial: { id: string; outputs: Properties; reasons: string[] } | undefined;

  constructor(error: grpc.ServiceError) {
    super(error.details);
    const [details] = error.metadata.get("grpc-status-details-bin");
    if (details === undefined) return;
    const [any] = status.Status.deserializeBinary(details as Buffer).getDetailsList();
    const failed = messages.ErrorResourceInitFailed.deserializeBinary(
      any?.getValue_asU8() ?? new Uint8Array(),
    );
    this.partial = {
      id: failed.getId(),
      outputs: fromStruct(failed.getProperties()),
      reasons: failed.getReasonsList(),
    };
  }
}

function diffOf(response: Message<"DiffResponse">) {
  return {
    changed: response.getChanges() === messages.DiffResponse.DiffChanges.DIFF_SOME,
    paths: [...response.getDetaileddiffMap().keys()].sort(),
    replaces: response.getReplacesList(),
    deleteBeforeReplace: response.getDeletebeforereplace(),
  };
}

export function urn(type: string, name: string): string {
  return `urn:pulumi:dev::test::${type}::${name}`;
}

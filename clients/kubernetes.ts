/**
 * Questions to an API server. By Node's own HTTPS: to import a client library costs each run of the program half a
 * second, and these are a dozen plain requests.
 */
import * as http from "node:http";
import * as https from "node:https";
import { Fault, reason } from "../preflight/fault.ts";
import type { Access } from "./kubeconfig.ts";

/** The fields of an object's metadata that are looked at. */
export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly managedFields?: readonly { readonly manager?: string; readonly subresource?: string }[];
}

export interface KubernetesObject {
  readonly metadata: Metadata;
}

/** An answer other than success and "there is none". */
export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** A handful of connections: each costs a TLS handshake. */
const CONNECTIONS = 4;
/** For one answer, so that a server that is silent leaves time to say so within 10 s of the command's start. */
const ANSWER_MS = 4000;
const METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

export class KubernetesApi {
  readonly #access: Access;
  readonly #signal: AbortSignal;
  readonly #agent: http.Agent;

  constructor(access: Access, signal: AbortSignal) {
    this.#access = access;
    this.#signal = signal;
    // Node before 22.21 knows no proxyEnv and goes without.
    const proxyEnv = access.proxy
      ? { HTTP_PROXY: access.proxy, HTTPS_PROXY: access.proxy }
      : { ...process.env };
    const options = { keepAlive: true, maxSockets: CONNECTIONS, proxyEnv, ...access.tls };
    this.#agent = access.server.protocol === "https:" ? new https.Agent(options) : new http.Agent(options);
  }

  get where(): string {
    return this.#access.where;
  }

  /** The object at that path; undefined where there is none. */
  get<T = KubernetesObject>(path: string): Promise<T | undefined> {
    return this.#ask<T>("GET", path, "application/json");
  }

  /** The object's metadata alone. */
  metadata(path: string): Promise<KubernetesObject | undefined> {
    return this.#ask("GET", path, METADATA_ONLY);
  }

  post<T>(path: string, body: object): Promise<T | undefined> {
    return this.#ask<T>("POST", path, "application/json", JSON.stringify(body));
  }

  /** Closes the connections: an idle one would keep the program alive. */
  close(): void {
    this.#agent.destroy();
  }

  async #ask<T>(method: string, path: string, accept: string, body?: string): Promise<T | undefined> {
    const { status, text } = await this.#send(method, path, accept, body).catch((error: unknown) => {
      throw this.#noAnswer(error);
    });
    if (status === 404) return undefined;
    if (status >= 200 && status < 300) return JSON.parse(text) as T;
    if (status === 401) {
      throw new Fault(
        `${this.where} does not know this user; its certificate or token may have expired; get a new kubeconfig from whoever runs the cluster`,
      );
    }
    throw new ApiError(status, messageOf(text) || `HTTP ${status}`);
  }

  #send(method: string, path: string, accept: string, body: string | undefined) {
    const { server, authorization, tls } = this.#access;
    const { request } = server.protocol === "https:" ? https : http;
    return new Promise<{ status: number; text: string }>((done, failed) => {
      const sent = request(
        `${server.href.replace(/\/$/, "")}${path}`,
        {
          method,
          agent: this.#agent,
          signal: this.#signal,
          timeout: ANSWER_MS,
          // The TLS options of the agent; a name that is undefined would count as one.
          ...(tls.servername ? { servername: tls.servername } : {}),
          headers: {
            accept,
            ...(authorization ? { authorization } : {}),
            ...(body === undefined
              ? {}
              : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", failed);
          response.on("end", () =>
            done({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
          );
        },
      );
      sent.on("error", failed);
      sent.on("timeout", () => sent.destroy(new DOMException("", "TimeoutError")));
      sent.end(body);
    });
  }

  #noAnswer(error: unknown): Fault {
    const { code = "", name } = error as { code?: string; name?: string };
    if (name === "AbortError" || name === "TimeoutError" || code === "ABORT_ERR")
      return new Fault(
        `${this.where} does not answer in time; is the cluster up, and is it reachable from here? set context or kubeconfig to another one otherwise`,
      );
    if (code === "CERT_HAS_EXPIRED")
      return new Fault(`${this.where}: the API server's certificate has expired; renew it on the cluster`);
    if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(code))
      return new Fault(
        `${this.where}: the API server's certificate is not to be trusted: ${reason(error)}; is it the kubeconfig of this cluster?`,
      );
    return new Fault(
      `${this.where} does not answer: ${reason(error)}; is the cluster up, and is it reachable from here? set context or kubeconfig to another one otherwise`,
    );
  }
}

/** The message of a Status object. */
function messageOf(text: string): string {
  try {
    return String((JSON.parse(text) as { message?: unknown }).message ?? "");
  } catch {
    return "";
  }
}

/** Opens official artifacts on their own hosts, or in a mirror of the same layout. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type Dispatcher, EnvHttpProxyAgent, interceptors, request } from "undici";
import { LabError } from "../../../clients/process.ts";

/** An official artifact is out of reach; the message has the reason. The toolchain then builds the part. */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
  readonly scope: Scope;
  constructor(message: string, scope: Scope) {
    super(message);
    this.scope = scope;
  }
}

/**
 * What the reason applies to: the whole host, which does not answer or refuses; one missing file; or only
 * this request, to a busy host.
 */
export type Scope = "host" | "file" | "request";

/** The registry requires a token. */
export class Unauthorized extends Unavailable {
  /** The header WWW-Authenticate: where the token comes from. */
  readonly challenge: string;
  constructor(url: string, challenge: string) {
    super(`${hostOf(url)} answered 401 to ${url}`, "request");
    this.challenge = challenge;
  }
}

/** An answer, which can begin in the middle of the file. */
export interface Opened {
  readonly body: Readable;
  /** Bytes of the file before the body. */
  readonly offset: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export type Headers = Readonly<Record<string, string>>;

export interface Source {
  /**
   * Opens a file.
   *
   * @param path its URL without the scheme: dl.k8s.io/v1.34.4/bin/linux/amd64/kubelet
   * @param offset bytes that the caller has; the answer can begin earlier
   * @throws Unavailable
   */
  open(path: string, offset?: number, headers?: Headers): Promise<Opened>;
}

/** Milliseconds for a connection, and for the first byte of an answer. */
const CONNECT_TIMEOUT = 3_000;
const ANSWER_TIMEOUT = 10_000;
/** Milliseconds between two pieces of an answer. */
const PAUSE_TIMEOUT = 20_000;

/**
 * The HTTP client of all downloads: follows redirections, and uses HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
 *
 * @param answerTimeout milliseconds for the first byte of an answer
 */
export function httpClient(answerTimeout = ANSWER_TIMEOUT): Dispatcher {
  return new EnvHttpProxyAgent({
    connect: { timeout: CONNECT_TIMEOUT },
    proxyTls: { timeout: CONNECT_TIMEOUT },
    requestTls: { timeout: CONNECT_TIMEOUT },
    headersTimeout: answerTimeout,
    bodyTimeout: PAUSE_TIMEOUT,
  }).compose(interceptors.redirect({ maxRedirections: 5 }));
}

/**
 * The source that LAB_MIRROR names, a directory or a URL; the original hosts without it.
 *
 * @throws LabError when LAB_MIRROR is neither
 */
export async function source(client: Dispatcher, mirror = process.env.LAB_MIRROR): Promise<Source> {
  if (!mirror) return overHttp(client, "https:/");
  if (/^https?:\/\//.test(mirror)) return overHttp(client, mirror.replace(/\/+$/, ""));
  const is = await stat(mirror).catch(() => undefined);
  if (!is?.isDirectory())
    throw new LabError(`LAB_MIRROR is "${mirror}": it has to be a directory that exists, or an http(s) URL`);
  return { open: (path, offset) => openFile(join(mirror, path), offset) };
}

/** @param base what comes before a path and its slash */
export function overHttp(client: Dispatcher, base: string): Source {
  return { open: (path, offset, headers) => openUrl(client, `${base}/${path}`, offset, headers) };
}

async function openFile(file: string, offset = 0): Promise<Opened> {
  const is = await stat(file).catch(() => undefined);
  if (!is?.isFile()) throw new Unavailable(`${file} is not there`, "file");
  const from = offset < is.size ? offset : 0;
  return { body: createReadStream(file, { start: from }), offset: from, headers: {} };
}

/**
 * Opens a URL from an offset on.
 *
 * @throws Unavailable with the status, or with the fault of the connection
 */
async function openUrl(client: Dispatcher, url: string, offset = 0, headers: Headers = {}): Promise<Opened> {
  const range = offset > 0 ? { range: `bytes=${offset}-` } : {};
  const answer = await request(url, { dispatcher: client, headers: { ...headers, ...range } }).catch(
    (error) => {
      throw new Unavailable(`${hostOf(url)} cannot be reached: ${reasonOf(error)}`, "host");
    },
  );
  const { statusCode, body } = answer;
  if (statusCode === 200) return { body, offset: 0, headers: answer.headers };
  if (statusCode === 206) return { body, offset, headers: answer.headers };
  await body.dump();
  // The server's file is not longer than the part: the part is complete, or is of another file.
  if (statusCode === 416) return openUrl(client, url, 0, headers);
  if (statusCode === 404 || statusCode === 410) throw new Unavailable(`${url}: ${statusCode}`, "file");
  if (statusCode === 401) throw new Unauthorized(url, String(answer.headers["www-authenticate"] ?? ""));
  const scope = statusCode === 429 || statusCode >= 500 ? "request" : "host";
  throw new Unavailable(`${hostOf(url)} answered ${statusCode} to ${url}`, scope);
}

/** The few words of an error that matter: undici wraps the error of the system. */
export function reasonOf(error: unknown): string {
  const { message, code, cause } = error as { message?: string; code?: string; cause?: unknown };
  if (cause) return reasonOf(cause);
  return [code, message].filter(Boolean).join(": ");
}

function hostOf(url: string): string {
  return new URL(url).host;
}

/**
 * The HTTP client of the probe and the request stream: gets a page and identifies the version that served it.
 */
import { createSecureContext, getCACertificates } from "node:tls";
import { Agent, request } from "undici";
import { wordsOf } from "../clients/errorPage.ts";

/** The page, and what distinguishes the versions. */
export interface Target {
  /** For example `http://192.0.2.10/echo/test.txt`. */
  url: string;
  /** Host header. @default the URL's own host */
  host?: string;
  /** Authorities in PEM to trust besides Node's and the system's, for https. @default none */
  ca?: string | undefined;
  /** The page of each version; white space at the end does not count. */
  pages: Record<string, string>;
  /** Limit in milliseconds for the connection, and for each wait on the answer. @default 5000 */
  timeout?: number;
  /** User-Agent header, by which an access log identifies these requests. @default "istio-lab-probe" */
  userAgent?: string;
}

/** The outcome of one request. */
export interface Answer {
  /** When it was sent, in milliseconds since the epoch. */
  sentAt: number;
  /** The HTTP status; absent when no answer came. */
  status?: number;
  /** The version whose page it was; absent when the request failed. */
  version?: string;
  /**
   * Why it failed: `status 503: no healthy upstream` (the status and the beginning of the answer), `unknown
   * page`, `timeout`, `certificate not trusted: …`, or the system's code such as `ECONNREFUSED`.
   */
  failure?: string;
}

/** The largest page that is read; a larger one is a failure. */
const MAX_PAGE_BYTES = 64 * 1024;

export class Client {
  readonly #target: Target;
  readonly #agent: Agent;
  readonly #headers: Record<string, string>;
  readonly #versions: Map<string, string>;

  /** @param connections the most connections to open; they are kept alive and reused. */
  constructor(target: Target, connections: number) {
    const timeout = target.timeout ?? 5000;
    this.#target = target;
    this.#versions = versionsByPage(target.pages);
    this.#headers = { "user-agent": target.userAgent ?? "istio-lab-probe" };
    if (target.host) this.#headers.host = target.host;
    this.#agent = new Agent({
      connections,
      // One request at a time on a connection, with and without TLS.
      allowH2: false,
      connect: { timeout, ...(target.url.startsWith("https:") ? trust(target.ca) : {}) },
      headersTimeout: timeout,
      bodyTimeout: timeout,
      maxResponseSize: MAX_PAGE_BYTES,
    });
  }

  /** Sends one request. Never rejects: a failure is an answer too. */
  async get(): Promise<Answer> {
    const sentAt = Date.now();
    try {
      const response = await request(this.#target.url, { dispatcher: this.#agent, headers: this.#headers });
      const page = await response.body.text();
      const status = response.statusCode;
      if (status !== 200) return { sentAt, status, failure: `status ${status}${wordsOf(page)}` };
      const version = this.#versions.get(page.trimEnd());
      return version === undefined
        ? { sentAt, status, failure: "unknown page" }
        : { sentAt, status, version };
    } catch (error) {
      return { sentAt, failure: reasonOf(error) };
    }
  }

  /** Ends all connections at once; requests under way fail. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** The certificate has to name the Host header: undici verifies that, whatever address it connects to. */
function trust(ca = "") {
  const known = [...getCACertificates("default"), ...getCACertificates("system")];
  // Made once: to read hundreds of authorities for each connection would take longer than the request.
  return { secureContext: createSecureContext({ ca: [...known, ca].filter(Boolean) }) };
}

/** Version by page. Two versions with the same page are refused: an answer would not identify its version. */
function versionsByPage(pages: Record<string, string>): Map<string, string> {
  const versions = new Map<string, string>();
  for (const [version, text] of Object.entries(pages)) {
    const page = text.trimEnd();
    const twin = versions.get(page);
    if (twin !== undefined)
      throw new Error(`${twin} and ${version} have the same page: give each version its own text`);
    versions.set(page, version);
  }
  return versions;
}

function reasonOf(error: unknown): string {
  const { code, name, message } = error as NodeJS.ErrnoException;
  if (code?.endsWith("_TIMEOUT")) return "timeout";
  if (code === "UND_ERR_RES_EXCEEDED_MAX_SIZE") return "unknown page";
  if (/CERT|UNABLE_TO_/.test(code ?? "")) return `certificate not trusted: ${code}`;
  return code ?? name ?? message;
}

/** The errors of a request to an API server: the server refuses, or does not answer. */
import type { IncomingMessage } from "node:http";

/** The API server refuses: a status of 400 or more, with the words of its Status object. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** `Forbidden`, `AlreadyExists`, `Conflict`, `Invalid` …; empty where the answer has none. */
  readonly reason: string;
  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** The API server does not answer. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  /**
   * `time`: no answer within the limit. `credentials`: the credential plugin fails. `untrusted`: the server's
   * certificate is not trusted. `expired`: the certificate has expired. `foreign`: the answer is none of an
   * API server, such as a page to log on. `connection`: anything else between this process and the server.
   */
  readonly kind: "time" | "credentials" | "untrusted" | "expired" | "foreign" | "connection";
  constructor(kind: NoAnswer["kind"], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Undefined where the answer is HTTP 403. @param noted takes that error */
export async function unlessForbidden<T>(answer: Promise<T>, noted: ApiError[] = []): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 403)) throw error;
    noted.push(error);
    return undefined;
  }
}

/**
 * The whole body.
 * @throws NoAnswer when it does not end in time
 */
export async function read(response: IncomingMessage, limitMs: number): Promise<string> {
  const timer = setTimeout(
    () => response.destroy(new NoAnswer("time", `no whole answer within ${limitMs / 1000} s`)),
    limitMs,
  );
  try {
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) text += chunk;
    return text;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The error in an answer of 400 or more.
 * @param noticesBefore what a credential plugin printed before the proxy failed with this error
 */
export async function failureOf(
  response: IncomingMessage,
  text: string,
  noticesBefore: (error: string) => Promise<readonly string[]>,
): Promise<ApiError | NoAnswer> {
  if (!isOfProxy(response)) return apiError(response.statusCode ?? 0, text);
  const whole = text.trim();
  const kind = kindOf(whole);
  // Of several lines where a credential plugin is missing, with the kubeconfig's own hint.
  const message = whole.replace(/\s+/g, " ");
  const printed = kind === "credentials" ? await noticesBefore(whole) : [];
  const notices = printed.filter((line) => !message.includes(line.trim())).slice(-MOST_NOTICES);
  return new NoAnswer(kind, [message, ...notices].join(": "));
}

const MOST_NOTICES = 3;

/**
 * Whether the answer is an error of `kubectl proxy`, which is plain text. Each answer of an API server has an
 * Audit-Id.
 */
function isOfProxy({ statusCode = 0, headers }: IncomingMessage): boolean {
  return (
    statusCode >= 500 &&
    headers["audit-id"] === undefined &&
    /^text\/plain/.test(headers["content-type"] ?? "")
  );
}

/** Go's libraries give no codes, so their words decide. */
function kindOf(message: string): NoAnswer["kind"] {
  if (message.startsWith("getting credentials:")) return "credentials";
  if (/certificate has expired or is not yet valid/.test(message)) return "expired";
  if (/x509:|tls: failed to verify/.test(message)) return "untrusted";
  return "connection";
}

function apiError(status: number, text: string): ApiError {
  try {
    const { reason = "", message = "" } = JSON.parse(text) as { reason?: string; message?: string };
    return new ApiError(status, String(reason), String(message) || `HTTP ${status}`);
  } catch {
    return new ApiError(status, "", firstLine(text) || `HTTP ${status}`);
  }
}

/** Of a page without its marks. */
const firstLine = (text: string) =>
  text
    .replace(/<(script|style|title)[^>]*>[^<]*<\/\1>|<[^>]*>/gi, "")
    .trim()
    .split("\n")[0]
    ?.slice(0, 200) ?? "";

/**
 * The object in an answer of less than 400.
 * @throws NoAnswer where there is none
 */
export function objectIn<T>({ statusCode = 0, headers }: IncomingMessage, text: string): T {
  if (statusCode < 300)
    try {
      return JSON.parse(text) as T;
    } catch {
      // It is reported below.
    }
  const { location, "content-type": type = "no type" } = headers;
  const what = location ? `a redirect to ${location}` : `${type}: ${firstLine(text) || "nothing"}`;
  throw new NoAnswer("foreign", `HTTP ${statusCode} with ${what}`);
}

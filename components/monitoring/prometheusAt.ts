/** Gets answers of a Prometheus at an address of its own. Errors say what answers there instead. */
import { readFile } from "node:fs/promises";

/** Something else than Prometheus' API, or nothing, answers at the address. */
export class NoPrometheus extends Error {
  override readonly name = "NoPrometheus";
  /** `credentials`: a Prometheus or a proxy before it wants some. `other`: the message says what. */
  readonly kind: "credentials" | "other";
  constructor(kind: NoPrometheus["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Where it is. */
export interface PrometheusAddress {
  /** What comes before `/api/v1`. */
  readonly url: string;
  /** A file with a header in each line, e.g. `Authorization: Bearer …`. @default no header */
  readonly headers?: string | undefined;
}

/**
 * The parsed answer. Prometheus answers in JSON also where it refuses a query.
 * @param path below the address, e.g. `/api/v1/query?query=up`
 * @throws NoPrometheus
 */
export async function getFrom(
  { url, headers }: PrometheusAddress,
  path: string,
  signal: AbortSignal,
): Promise<unknown> {
  const sent = headers === undefined ? {} : await readHeaders(headers);
  const base = url.replace(/\/+$/, "");
  const { response, text } = await answerOf(`${base}${path}`, sent, signal);
  const { status } = response;
  if (status === 401 || status === 403) {
    const what = headers === undefined ? "a request without credentials" : `the credentials in ${headers}`;
    throw new NoPrometheus("credentials", `HTTP ${status}: it does not accept ${what}`);
  }
  try {
    if (status < 300 || status >= 400) return JSON.parse(text) as unknown;
  } catch {
    // It is reported below.
  }
  throw new NoPrometheus("other", whatElse(response));
}

async function answerOf(url: string, headers: Record<string, string>, signal: AbortSignal) {
  try {
    // Headers with credentials would follow a redirect.
    const response = await fetch(url, { signal, headers, redirect: "manual" });
    return { response, text: await response.text() };
  } catch (error) {
    if (signal.aborted && (signal.reason as Error).name !== "TimeoutError") throw signal.reason;
    throw new NoPrometheus("other", signal.aborted ? "no answer in time" : wordsOf(error as Error), {
      cause: error,
    });
  }
}

/** Read for each request: a file may be renewed. The values are in no message. */
async function readHeaders(file: string): Promise<Record<string, string>> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new NoPrometheus("other", `the file of headers ${file} cannot be read (${error.code})`);
  });
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const pairs = lines.map((line, index) => {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e]*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw new NoPrometheus("other", `line ${index + 1} of ${file} is no header: give NAME: VALUE`);
    return [name, value.trim()] as const;
  });
  return Object.fromEntries(pairs);
}

function whatElse({ status, headers }: Response): string {
  const location = headers.get("location");
  if (status < 400 && status >= 300) {
    const place = location ? ` to ${placeOf(location)}` : "";
    return `HTTP ${status}, a redirect${place}, and no API of Prometheus`;
  }
  if (status === 404)
    return (
      "HTTP 404: no API of Prometheus is there. Does the address lack a path, as /prometheus, or have one " +
      "too many, as /graph?"
    );
  const type = headers.get("content-type") ?? "no type";
  return `HTTP ${status} with ${type}, and no API of Prometheus. Is it the page of a proxy or of Grafana?`;
}

/** Without its query, which may hold a code. */
const placeOf = (location: string) => location.split(/[?#]/)[0] ?? "";

interface Failure extends Error {
  readonly code?: string;
  readonly errors?: readonly Failure[];
}

/** Node's own message is `fetch failed`; its cause says why. */
function wordsOf(error: Error): string {
  const cause = (error.cause ?? error) as Failure;
  const [first = cause] = cause.errors ?? [];
  const { code = "", message } = first;
  if (/CERT|SIGNED|ISSUER/.test(code))
    return (
      `its certificate is not trusted (${code}): NODE_EXTRA_CA_CERTS has to name the file of its authority ` +
      "when this command starts"
    );
  if (/SSL|EPROTO/.test(code)) return `it does not speak TLS, or not this one (${code}): is it http://?`;
  return message || code;
}

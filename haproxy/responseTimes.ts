/**
 * HAProxy's own histogram of response times, which its exporter does not have: the rules that count answers
 * in a stick table, and the text that Prometheus reads.
 */
import { whole, word } from "./words.ts";

/** The histogram, named as HAProxy's exporter names its own metrics. */
export const RESPONSE_TIME = "haproxy_server_response_time_seconds";

/** Upper bounds in seconds: Envoy's, so that percentiles before and behind the gateway compare. */
export const BOUNDS = [0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

/** Most answers take no longer, and are past the rules after it. */
const QUICK = 0.01;

/** The last bucket has no upper bound. */
const BUCKETS = BOUNDS.length + 1;

/** An entry of the table is a bucket of a server: server 2, bucket 5 is 205. */
const PER_SERVER = 100;

/** The table of a backend with so many servers. A new worker process starts with an empty one. */
export const responseTimeTable = (servers: number) =>
  `stick-table type integer size ${whole(Math.max(1, servers) * BUCKETS)} store conn_cnt`;

/**
 * Rules of a backend. `track-sc1` adds 1 to `conn_cnt` of the entry, and does nothing where a rule before it
 * has done so. A lock for each entry keeps the count right with several threads.
 */
export function responseTimeRules(table: string): string[] {
  const upTo = (seconds: number) => `if { var(txn.took) -m int le ${whole(Math.round(seconds * 1e6))} }`;
  const count = (bucket: number) =>
    `http-response track-sc1 srv_id,mul(${PER_SERVER}),add(${bucket}) table ${word(table)}`;
  return [
    "# Microseconds until a response's headers, counted by server and bucket: the histogram at /latency.",
    "http-request set-var(txn.began) date(0,us)",
    "http-response set-var(txn.took) date(0,us),sub(txn.began)",
    ...BOUNDS.flatMap((bound, bucket) => [
      `${count(bucket)} ${upTo(bound)}`,
      ...(bound === QUICK ? [`http-response allow ${upTo(bound)}`] : []),
    ]),
    count(BOUNDS.length),
  ];
}

/**
 * Bytes of one answer: HAProxy makes it in one buffer, of 16 KiB less 1 KiB for the headers where nothing
 * else is set.
 */
const MOST_BYTES = 14_000;

/** Longest name of a backend: a prefix of 40 characters and the backend's own. */
const LONGEST_PROXY = 66;

/** Bytes of a server's series with names of this length and counts of ten digits. */
const bytesOf = (server: string) =>
  (BUCKETS + 1) *
  (`${RESPONSE_TIME}_bucket{proxy="",server="",le="0.0005"} 1234567890\n`.length +
    LONGEST_PROXY +
    server.length);

/** Paths of the exporter's address at which the histogram is, one for as many servers as an answer holds. */
export const responseTimePaths = (servers: readonly string[]): string[] =>
  pagesOf(servers).map((_, index) => pathOf(index));

const pathOf = (page: number) => (page === 0 ? "/latency" : `/latency/${page + 1}`);

interface Place {
  readonly name: string;
  /** As HAProxy numbers the servers of a backend. */
  readonly id: number;
}

/** At least one, also without a server. */
function pagesOf(servers: readonly string[]): Place[][] {
  const pages: Place[][] = [[]];
  let bytes = 0;
  servers.forEach((name, index) => {
    bytes += bytesOf(name);
    if (bytes > MOST_BYTES) {
      pages.push([]);
      bytes = bytesOf(name);
    }
    pages.at(-1)?.push({ name, id: index + 1 });
  });
  return pages;
}

/** Rules of the exporter's frontend that answer with the histogram. */
export function responseTimeAnswers(backend: string, servers: readonly string[]): string[] {
  return pagesOf(servers).map((page, index) => {
    const text = [...HEAD, ...page.flatMap((server) => seriesOf(backend, server))].join("\\n");
    return (
      'http-request return status 200 content-type "text/plain; version=0.0.4" lf-string ' +
      `"${text.replaceAll('"', '\\"')}\\n" if { path ${pathOf(index)} }`
    );
  });
}

const HEAD = [
  `# HELP ${RESPONSE_TIME} From a request's headers to those of its response, retries included. ` +
    "Made by the rules in haproxy.cfg of istio-lab.",
  `# TYPE ${RESPONSE_TIME} histogram`,
];

/** Each count is read once and added to the sum of those before, so that no bucket has less than another. */
function seriesOf(backend: string, { name, id }: Place): string[] {
  const labels = `proxy="${word(backend)}",server="${word(name)}"`;
  const sum = (bucket: number) =>
    `%[int(${id * PER_SERVER + bucket}),table_conn_cnt(${word(backend)}),` +
    `${bucket === 0 ? "" : "add(txn.count),"}set-var(txn.count)]`;
  return [
    ...[...BOUNDS, "+Inf"].map(
      (bound, bucket) => `${RESPONSE_TIME}_bucket{${labels},le="${bound}"} ${sum(bucket)}`,
    ),
    `${RESPONSE_TIME}_count{${labels}} %[var(txn.count)]`,
  ];
}

/** The picture that the dashboard shows: what flows where, and whether it agrees with the weights. Pure. */
import { allowed } from "../probe/verdict.ts";
import { added, type Histogram, percentiles } from "./histogram.ts";

/** Requests over one edge of the graph; null where nothing measures it. */
export interface Flow {
  /** Requests a second. */
  readonly perSecond: number | null;
  /** Percent of what comes in at the edge's start. */
  readonly share: number | null;
  /** Percent of the requests that ended with a 5xx status or without an answer. */
  readonly errors: number | null;
  /** HAProxy's mean time to answer, in milliseconds; null on other edges. */
  readonly mean: number | null;
  /** Median time to answer, in milliseconds. */
  readonly p50: number | null;
  /** 99th percentile of the time to answer, in milliseconds. */
  readonly p99: number | null;
}

/** One server in haproxy.cfg: a Kubernetes node at the gateway's NodePort. */
export interface ServerPicture {
  readonly name: string;
  /** HAProxy's own view of the server. */
  readonly state: "up" | "down" | "unknown";
  readonly flow: Flow;
  /** Its answers by time; missing where they are not measured. */
  readonly times?: Histogram | undefined;
}

/** One version of the application. */
export interface VersionPicture {
  readonly name: string;
  /** Configured percent. */
  readonly weight: number;
  readonly flow: Flow;
  /** The shares, in percent, that agree with the weight at this count of requests; null without requests. */
  readonly band: { readonly low: number; readonly high: number } | null;
  /**
   * `ok`: the share is in the band; `off`: it is not; `settling`: the weights changed within the window;
   * `idle`: no request.
   */
  readonly verdict: "ok" | "off" | "settling" | "idle";
  /** Pods that answer, and pods that the Deployment wants. */
  readonly pods: { readonly ready: number; readonly wanted: number } | null;
}

/** The weights from a moment on. */
export interface WeightChange {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly weights: Readonly<Record<string, number>>;
}

/** Shares over time, for the chart. */
export interface History {
  /** Seconds since the epoch. */
  readonly times: readonly number[];
  /** Version name to percent at each of the times; null where there was no request. */
  readonly shares: Readonly<Record<string, readonly (number | null)[]>>;
}

export interface Link {
  readonly label: string;
  readonly href: string;
}

export interface Picture {
  /** When it was measured, in milliseconds since the epoch. */
  readonly at: number;
  /** The page behind the load balancer. */
  readonly url: string;
  /** Seconds over which rates, shares and percentiles are taken. */
  readonly windowSeconds: number;
  readonly client: Flow;
  readonly servers: readonly ServerPicture[];
  readonly gateway: Flow;
  readonly versions: readonly VersionPicture[];
  readonly changes: readonly WeightChange[];
  readonly history: History;
  readonly links: readonly Link[];
  /** What could not be measured and why, one sentence each. */
  readonly problems: readonly string[];
}

/** What was measured of one version within the window. */
export interface MeasuredVersion {
  readonly name: string;
  /** Requests within the window. */
  readonly requests: number;
  readonly errors: number;
  readonly p50: number | null;
  readonly p99: number | null;
}

/** What was measured of one server within the window. */
export interface MeasuredServer {
  readonly name: string;
  readonly state: ServerPicture["state"];
  readonly requests: number;
  readonly errors: number;
  /** Milliseconds; null where the exporter has none. */
  readonly mean: number | null;
  /** Its answers by time; missing where Prometheus does not scrape them. */
  readonly times?: Histogram | undefined;
}

/** What the sources report at one moment; a part is undefined where its source does not answer. */
export interface Measured {
  readonly at: number;
  /** Seconds by which this machine's clock is ahead of Prometheus'. */
  readonly clockAhead: number;
  readonly windowSeconds: number;
  /** What HAProxy counts; undefined where its exporter is not scraped. */
  readonly haproxy?: {
    readonly requests: number;
    readonly errors: number;
    readonly mean: number | null;
    readonly servers: readonly MeasuredServer[];
  };
  /** What the gateway counts for all its answers. */
  readonly gateway?: Omit<MeasuredVersion, "name">;
  readonly versions: readonly MeasuredVersion[];
  readonly history: History;
}

/** What does not come from measurements. */
export interface Setting {
  readonly url: string;
  readonly weights: Readonly<Record<string, number>>;
  readonly changes: readonly WeightChange[];
  /** Version name to its Deployment's pods; missing where the API server does not say. */
  readonly pods: Readonly<Record<string, NonNullable<VersionPicture["pods"]>>>;
  readonly links: readonly Link[];
  readonly problems: readonly string[];
}

/** Puts measurements and weights together. */
export function pictureOf(measured: Measured, setting: Setting): Picture {
  const { at, windowSeconds, haproxy, gateway, history } = measured;
  const flow = (part: Part | undefined, all: number | undefined): Flow => flowOf(part, all, windowSeconds);
  const served = measured.versions.reduce((sum, { requests }) => sum + requests, 0);
  // Among the servers: HAProxy counts a request before it chooses one.
  const sent = haproxy?.servers.reduce((sum, { requests }) => sum + requests, 0);
  // The API server's clock, which dates the first change, may be ahead.
  const settling = setting.changes.some((change) => Math.abs(at - change.at) < windowSeconds * 1000);
  return {
    at,
    url: setting.url,
    windowSeconds,
    client: flow(
      haproxy ? { ...haproxy, ...percentiles(added(haproxy.servers)) } : gateway,
      haproxy?.requests ?? gateway?.requests,
    ),
    servers: (haproxy?.servers ?? []).map((server) => ({
      name: server.name,
      state: server.state,
      flow: flow({ ...server, ...percentiles(server.times) }, sent),
      times: server.times,
    })),
    gateway: flow(gateway, gateway?.requests),
    versions: Object.entries(setting.weights).map(([name, weight]) => {
      const version = measured.versions.find((one) => one.name === name);
      return {
        name,
        weight,
        flow: flow(version, served),
        ...judged(version?.requests ?? 0, served, weight, settling),
        pods: setting.pods[name] ?? null,
      };
    }),
    changes: setting.changes,
    history,
    links: setting.links,
    problems: setting.problems,
  };
}

type Part = Partial<Omit<MeasuredVersion, "name"> & Pick<MeasuredServer, "mean">>;

function flowOf(part: Part | undefined, all: number | undefined, windowSeconds: number): Flow {
  if (part?.requests === undefined)
    return { perSecond: null, share: null, errors: null, mean: null, p50: null, p99: null };
  const { requests, errors = 0, mean = null, p50 = null, p99 = null } = part;
  return {
    perSecond: requests / windowSeconds,
    share: all ? (100 * requests) / all : null,
    errors: requests > 0 ? (100 * errors) / requests : null,
    // HAProxy's is of the last requests, however old.
    mean: requests > 0 ? mean : null,
    p50,
    p99,
  };
}

/** The probe's own rule: a count is off when it lies outside four standard deviations of its weight. */
function judged(
  count: number,
  served: number,
  weight: number,
  settling: boolean,
): Pick<VersionPicture, "band" | "verdict"> {
  // Rates are extrapolated, so that counts are no integers; half a request more or less is no evidence.
  const total = Math.round(served);
  if (total === 0) return { band: null, verdict: "idle" };
  const { low, high } = allowed(total, weight);
  const band = { low: (100 * low) / total, high: (100 * high) / total };
  if (settling) return { band, verdict: "settling" };
  const inside = count >= low - 0.5 && count <= high + 0.5;
  return { band, verdict: inside ? "ok" : "off" };
}

/**
 * Computes when traffic followed a change of weights. Pure. The name of the VirtualService's http route holds
 * its weights, and the gateway's access log has route and time of each request.
 */

/** One request, as the gateway's access log has it. */
export interface RoutedRequest {
  /** When the gateway received it, in milliseconds since the epoch. */
  time: number;
  /** Name of the VirtualService's http route that took it. */
  routeName: string;
  status: number;
}

/**
 * Milliseconds after the watch saw the update of the VirtualService. A few below 0 are possible, because the
 * watch's event takes time too.
 */
export interface ShiftTimes {
  /** `no access log`: the gateway logs no routes, and neither time is known. */
  method: "access log" | "no access log";
  /** First request with the new shares; null when there was none. */
  firstNewMs: number | null;
  /** Last request with the old shares; null when there was none. */
  lastOldMs: number | null;
}

/** Reads the times from routed requests. */
export function measureShift(
  events: RoutedRequest[],
  t0: number,
  routes: { before: string; after: string },
): ShiftTimes {
  const times = (routeName: string): number[] =>
    events.filter((event) => event.routeName === routeName).map((event) => event.time - t0);
  return {
    method: "access log",
    firstNewMs: times(routes.after).reduce<number | null>((a, b) => (a === null || b < a ? b : a), null),
    lastOldMs: times(routes.before).reduce<number | null>((a, b) => (a === null || b > a ? b : a), null),
  };
}

/**
 * Reads Istio's access log, in the default text or the default JSON, and keeps the requests of one client.
 * Other lines are skipped: istio-proxy writes its own messages to the same stream.
 */
export function parseAccessLog(log: string, userAgent: string): RoutedRequest[] {
  return log
    .split("\n")
    .filter((line) => line.includes(userAgent))
    .flatMap((line) => {
      const fields = line.startsWith("{") ? jsonFields(line) : textFields(line);
      if (fields?.agent !== userAgent) return [];
      const time = Date.parse(fields.time);
      return Number.isNaN(time) ? [] : [{ time, routeName: fields.route, status: Number(fields.status) }];
    });
}

interface LogFields {
  time: string;
  status: string;
  agent: string;
  route: string;
}

/**
 * `[START_TIME] "request" status … "forwarded for" "user agent" "request id" "authority" "upstream host" …
 * ROUTE_NAME`
 */
const TEXT =
  /^\[(?<time>[^\]]+)\] "[^"]*" (?<status>\d+) .* "(?<agent>[^"]*)" "[^"]*" "[^"]*" "[^"]*" \S+ \S+ \S+ \S+ \S+ (?<route>\S+)$/;

function textFields(line: string): LogFields | undefined {
  return TEXT.exec(line)?.groups as LogFields | undefined;
}

function jsonFields(line: string): LogFields | undefined {
  try {
    const { start_time, response_code, user_agent, route_name } = JSON.parse(line);
    return {
      time: String(start_time),
      status: String(response_code),
      agent: user_agent,
      route: String(route_name),
    };
  } catch {
    return undefined;
  }
}

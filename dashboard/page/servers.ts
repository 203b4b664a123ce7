/** Which of HAProxy's servers the graph shows: each of a few; of many, those that are not up. */
import { added, percentiles } from "../histogram.ts";
import type { Flow, Picture } from "../picture.ts";

type Server = Picture["servers"][number];

/** A box of the graph. */
export interface Shown extends Server {
  readonly kind: "node" | "nodes";
}

/** Most boxes of servers in the graph. The table has every server. */
const MOST = 6;

/** Servers for the graph; those that are left out are added up by state. */
export function shownServers(servers: readonly Server[]): Shown[] {
  const each = (some: readonly Server[]) => some.map((server): Shown => ({ ...server, kind: "node" }));
  if (servers.length <= MOST) return each(servers);
  const unusual = servers.filter(({ state }) => state !== "up").slice(0, MOST - 2);
  const rest = servers.filter((server) => !unusual.includes(server));
  const states = [...new Set(rest.map(({ state }) => state))];
  return [...each(unusual), ...states.map((state) => together(state, rest))];
}

function together(state: Server["state"], servers: readonly Server[]): Shown {
  const all = servers.filter((server) => server.state === state);
  const histogram = added(all);
  const sum = (of: (flow: Flow) => number | null) =>
    all.reduce((total, { flow }) => total + (of(flow) ?? 0), 0);
  const perSecond = sum((flow) => flow.perSecond);
  const failed = sum((flow) => ((flow.errors ?? 0) * (flow.perSecond ?? 0)) / 100);
  const times = sum((flow) => (flow.mean ?? 0) * (flow.perSecond ?? 0));
  return {
    name: all.length === 1 ? (all[0]?.name ?? "") : `${all.length} servers`,
    kind: all.length === 1 ? "node" : "nodes",
    state,
    flow: {
      perSecond,
      share: sum((flow) => flow.share),
      errors: perSecond > 0 ? (100 * failed) / perSecond : null,
      mean: times > 0 ? times / perSecond : null,
      ...percentiles(histogram),
    },
    times: histogram,
  };
}

/** Tests of dashboard/page/servers.ts. */
import { expect, test } from "vitest";
import { shownServers } from "../../../../dashboard/page/servers.ts";

type Server = Parameters<typeof shownServers>[0][number];

const server = (name: string, state: Server["state"] = "up", errors: number | null = 0): Server => ({
  name,
  state,
  flow: {
    ...{ perSecond: state === "up" ? 2 : 0, share: state === "up" ? 4 : 0, errors },
    ...{ mean: state === "up" ? 3 : null, p50: null, p99: null },
  },
});
const many = (count: number, state?: Server["state"], errors?: number | null) =>
  Array.from({ length: count }, (_, index) => server(`node${index}${state ?? ""}`, state, errors));

const seen = (servers: readonly Server[]) =>
  shownServers(servers).map(({ name, state }) => `${name} ${state}`);

test("a few servers are shown each", () => {
  expect(shownServers(many(6))).toEqual(many(6).map((one) => ({ ...one, kind: "node" })));
});

test("many servers are one box, with the sum of what they get", () => {
  const [all, ...more] = shownServers([...many(20), ...many(5, "up", 50)]);
  expect(more).toEqual([]);
  expect(all).toEqual({
    name: "25 servers",
    kind: "nodes",
    state: "up",
    flow: { perSecond: 50, share: 100, errors: 10, mean: 3, p50: null, p99: null },
    times: [],
  });
});

test("many servers have the percentiles of all their answers", () => {
  const times = [
    { upTo: 10, count: 98 },
    { upTo: null, count: 100 },
  ];
  const [all] = shownServers(many(7).map((one) => ({ ...one, times })));
  expect(all?.flow).toMatchObject({ p50: (10 * 50) / 98, p99: 10 });
  expect(all?.times?.at(-1)).toEqual({ upTo: null, count: 700 });
});

test("of many servers, those that are not up are shown each, up to four", () => {
  expect(seen([...many(22), server("lost", "down"), server("new", "unknown")])).toEqual([
    "lost down",
    "new unknown",
    "22 servers up",
  ]);
  expect(seen([...many(20), ...many(9, "down")]).slice(-2)).toEqual(["20 servers up", "5 servers down"]);
  expect(seen(many(30, "down"))).toHaveLength(5);
});

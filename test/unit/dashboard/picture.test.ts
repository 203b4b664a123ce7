/** Tests of dashboard/picture.ts. */
import { expect, test } from "vitest";
import { type Measured, pictureOf, type Setting } from "../../../dashboard/picture.ts";

const NOW = 1_700_000_000_000;

const MEASURED: Measured = {
  at: NOW,
  clockAhead: 0,
  windowSeconds: 10,
  haproxy: {
    requests: 1000,
    errors: 10,
    mean: 4,
    servers: [
      { name: "node02", state: "up", requests: 1000, errors: 10, mean: 5 },
      { name: "node03", state: "down", requests: 0, errors: 0, mean: 900 },
    ],
  },
  gateway: { requests: 990, errors: 0, p50: 3, p99: 12 },
  versions: [
    { name: "v116", requests: 495, errors: 0, p50: 2, p99: 9 },
    { name: "v117", requests: 505, errors: 5, p50: 2, p99: 9 },
  ],
  history: { times: [], shares: {} },
};

const SETTING: Setting = {
  url: "http://nginx.example/echo/test.txt",
  weights: { v116: 50, v117: 50 },
  changes: [{ at: NOW - 60_000, weights: { v116: 50, v117: 50 } }],
  pods: { v116: { ready: 3, wanted: 3 } },
  links: [],
  problems: [],
};

const versions = (weights: Setting["weights"], measured = MEASURED, changes = SETTING.changes) =>
  pictureOf(measured, { ...SETTING, weights, changes }).versions;

test("rates, shares and errors of each edge", () => {
  const { client, servers, gateway } = pictureOf(MEASURED, SETTING);
  expect(client).toEqual({ perSecond: 100, share: 100, errors: 1, mean: 4, p50: null, p99: null });
  expect(servers.map(({ flow }) => flow.share)).toEqual([100, 0]);
  expect(servers[1]).toMatchObject({ state: "down", flow: { perSecond: 0, errors: null, mean: null } });
  expect(gateway).toEqual({ perSecond: 99, share: 100, errors: 0, mean: null, p50: 3, p99: 12 });
});

test("HAProxy's edges have percentiles where its answers are counted by time", () => {
  const times = (quick: number, slow: number) => [
    { upTo: 10, count: quick },
    { upTo: 100, count: quick + slow },
    { upTo: null, count: quick + slow },
  ];
  const [one, other] = MEASURED.haproxy?.servers ?? [];
  if (!MEASURED.haproxy || !one || !other) throw new Error("there are two servers");
  const servers = [
    { ...one, times: times(100, 0) },
    { ...other, times: times(0, 100) },
  ];
  const picture = pictureOf({ ...MEASURED, haproxy: { ...MEASURED.haproxy, servers } }, SETTING);
  expect(picture.client).toMatchObject({ mean: 4, p50: 10, p99: 98.2 });
  expect(picture.servers.map(({ flow }) => flow)).toMatchObject([
    { p50: 5, p99: 9.9 },
    { p50: 55, p99: 99.1 },
  ]);
});

test("the shares of HAProxy's servers are among themselves", () => {
  const servers = ["a", "b"].map((name) => ({
    name,
    state: "up" as const,
    requests: 400,
    errors: 0,
    mean: 1,
  }));
  const haproxy = { requests: 1000, errors: 0, mean: 1, servers };
  const shares = pictureOf({ ...MEASURED, haproxy }, SETTING).servers.map(({ flow }) => flow.share);
  expect(shares).toEqual([50, 50]);
});

test("a version's share is judged against its weight, as the probe judges it", () => {
  const [v116, v117] = versions({ v116: 50, v117: 50 });
  expect(v116).toMatchObject({ flow: { share: 49.5 }, verdict: "ok", pods: { ready: 3, wanted: 3 } });
  expect(v117).toMatchObject({ verdict: "ok", pods: null });
  expect(v116?.band?.low).toBeLessThan(46);
  expect(v116?.band?.high).toBeGreaterThan(54);
  expect(versions({ v116: 90, v117: 10 }).map(({ verdict }) => verdict)).toEqual(["off", "off"]);
});

test("right after a change of the weights the share is `settling`, not `off`", () => {
  const changes = [{ at: NOW - 3000, weights: { v116: 90, v117: 10 } }];
  expect(versions({ v116: 90, v117: 10 }, MEASURED, changes).map(({ verdict }) => verdict)).toEqual([
    "settling",
    "settling",
  ]);
});

test("a change that another machine's clock dates in the future does not settle for ever", () => {
  const changes = [{ at: NOW + 300_000, weights: { v116: 50, v117: 50 } }];
  expect(versions({ v116: 50, v117: 50 }, MEASURED, changes).map(({ verdict }) => verdict)).toEqual([
    "ok",
    "ok",
  ]);
});

test("a version at weight 0 is off as soon as one request reaches it", () => {
  const measured = { ...MEASURED, versions: [{ name: "v116", requests: 100, errors: 0, p50: 1, p99: 1 }] };
  expect(versions({ v116: 100, v117: 0 }, measured).map(({ verdict }) => verdict)).toEqual(["ok", "ok"]);
  expect(versions({ v116: 100, v117: 0 }).map(({ verdict }) => verdict)).toEqual(["off", "off"]);
});

test("what is not measured is null, not zero", () => {
  const picture = pictureOf(
    { at: NOW, clockAhead: 0, windowSeconds: 10, versions: [], history: { times: [], shares: {} } },
    SETTING,
  );
  expect(picture.client.perSecond).toBeNull();
  expect(picture.gateway.errors).toBeNull();
  expect(picture.servers).toEqual([]);
  expect(picture.versions.map(({ verdict, band }) => [verdict, band])).toEqual([
    ["idle", null],
    ["idle", null],
  ]);
});

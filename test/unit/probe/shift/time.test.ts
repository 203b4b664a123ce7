/** Tests of probe/shift/time.ts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { measureShift, parseAccessLog } from "../../../../probe/shift/time.ts";

const AGENT = "istio-lab-shift/5b0f";

describe("measureShift", () => {
  const routes = { before: "weights-v117-50-v116-50", after: "weights-v117-90-v116-10" };
  const event = (time: number, routeName: string) => ({ time, routeName, status: 200 });

  it(
    "finds the first request of the new route and the last of the old, in whatever order the pods' logs " +
      "come",
    () => {
      const events = [
        event(1040, routes.after),
        event(1060, routes.before),
        event(995, routes.before),
        event(1035, routes.after),
        event(1200, "healthz"),
      ];
      expect(measureShift(events, 1000, routes)).toEqual({
        method: "access log",
        firstNewMs: 35,
        lastOldMs: 60,
      });
    },
  );

  it("says null where there was none", () => {
    expect(measureShift([event(990, routes.before)], 1000, routes)).toMatchObject({
      firstNewMs: null,
      lastOldMs: -10,
    });
  });

  it("agrees with the plain minimum and maximum", () => {
    const times = fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1 });
    fc.assert(
      fc.property(times, times, (old, fresh) => {
        const events = [
          ...old.map((t) => event(t, routes.before)),
          ...fresh.map((t) => event(t, routes.after)),
        ];
        const { firstNewMs, lastOldMs } = measureShift(events, 1000, routes);
        expect([firstNewMs, lastOldMs]).toEqual([Math.min(...fresh) - 1000, Math.max(...old) - 1000]);
      }),
    );
  });
});

describe("parseAccessLog", () => {
  const text = (agent: string) =>
    '[2026-11-23T13:47:21.123Z] "GET /echo/test.txt HTTP/1.1" 200 - via_upstream - "-" 0 8 1 1 ' +
    `"10.210.7.20,10.244.2.1" "${agent}" "0a1b" "nginx.hung.org.hk" "10.244.3.7:80" ` +
    "outbound|80|v117|nginx-svc.default.svc.cluster.local 10.244.2.4:51234 10.244.2.4:8080 " +
    "10.244.2.1:40000 - weights-v117-50-v116-50";
  const json = (agent: string) =>
    `{"start_time":"2026-11-23T13:47:21.124Z","response_code":503,"user_agent":"${agent}","route_name":"r","authority":"x"}`;

  it("reads Istio's default text and default JSON", () => {
    expect(parseAccessLog(`${text(AGENT)}\n${json(AGENT)}\n`, AGENT)).toEqual([
      { time: Date.UTC(2026, 10, 23, 13, 47, 21, 123), status: 200, routeName: "weights-v117-50-v116-50" },
      { time: Date.UTC(2026, 10, 23, 13, 47, 21, 124), status: 503, routeName: "r" },
    ]);
  });

  it("skips other clients, istio-proxy's own messages and lines that are cut off", () => {
    const log = [
      text("curl/8.5"),
      "2026-11-23T13:47:20Z\tinfo\tEnvoy proxy is ready",
      text(AGENT).slice(0, 180),
      `{"user_agent":"${AGENT}"`,
      `{"user_agent":"${AGENT}","start_time":"-"}`,
      text(`${AGENT}-2`),
    ].join("\n");
    expect(parseAccessLog(log, AGENT)).toEqual([]);
  });
});

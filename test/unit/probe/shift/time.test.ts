import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Answer } from "../../../../probe/client.ts";
import { estimateShift, measureShift, parseAccessLog } from "../../../../probe/shift/time.ts";
import { seeded } from "../../../support/probeServer.ts";

const AGENT = "istio-lab-shift/5b0f";

describe("measureShift", () => {
  const routes = { before: "weights-v117-50-v116-50", after: "weights-v117-90-v116-10" };
  const event = (time: number, routeName: string) => ({ time, routeName, status: 200 });

  it("finds the first request of the new route and the last of the old, in whatever order the pods' logs come", () => {
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
  });

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

describe("estimateShift", () => {
  it("is exact where the versions swap altogether", () => {
    const weights = { before: { v116: 100, v117: 0 }, after: { v116: 0, v117: 100 } };
    const answers = stream(weights, 1000, 1130, seeded(1));
    expect(estimateShift(answers, 1000, weights)).toEqual({
      method: "estimate",
      firstNewMs: 130,
      lastOldMs: 125,
      between: [130, 130],
    });
  });

  it("holds the true moment in its interval in nearly all runs", () => {
    const weights = { before: { v116: 50, v117: 50 }, after: { v116: 10, v117: 90 } };
    const random = seeded(3);
    let held = 0;
    for (let run = 0; run < 200; run++) {
      const changedAt = 1000 + Math.round(random() * 500);
      const { between } = estimateShift(stream(weights, 1000, changedAt, random), 1000, weights);
      const [from, to] = between as [number, number];
      if (from - 5 <= changedAt - 1000 && changedAt - 1000 <= to + 5) held++;
    }
    expect(held).toBeGreaterThan(170);
  });

  it("is not thrown off by one stray answer of a 0 percent version", () => {
    const weights = { before: { v116: 50, v117: 50 }, after: { v116: 0, v117: 100 } };
    const answers = stream(weights, 1000, 1100, seeded(4)).map((answer) =>
      answer.sentAt === 1800 ? { ...answer, version: "v116" } : answer,
    );
    expect(estimateShift(answers, 1000, weights).lastOldMs).toBeLessThan(150);
  });

  it("leaves failed requests out and says null where nothing came after the update", () => {
    const weights = { before: { v116: 100 }, after: { v116: 0 } };
    const answers: Answer[] = [
      { sentAt: 990, version: "v116" },
      { sentAt: 1010, failure: "timeout" },
    ];
    expect(estimateShift(answers, 1000, weights)).toEqual({
      method: "estimate",
      firstNewMs: null,
      lastOldMs: -10,
    });
  });

  /** Two seconds of answers, one each 5 ms, from the old weights until `changedAt` and from the new ones then. */
  function stream(
    weights: Record<"before" | "after", Record<string, number>>,
    t0: number,
    changedAt: number,
    random: () => number,
  ): Answer[] {
    return Array.from({ length: 400 }, (_, i) => {
      const sentAt = t0 - 500 + 5 * i;
      const share = (sentAt < changedAt ? weights.before : weights.after).v116 ?? 0;
      return { sentAt, status: 200, version: random() * 100 < share ? "v116" : "v117" };
    });
  }
});

describe("parseAccessLog", () => {
  const text = (agent: string) =>
    `[2026-11-23T13:47:21.123Z] "GET /echo/test.txt HTTP/1.1" 200 - via_upstream - "-" 0 8 1 1 "10.210.7.20,10.244.2.1" "${agent}" "0a1b" "nginx.hung.org.hk" "10.244.3.7:80" outbound|80|v117|nginx-svc.default.svc.cluster.local 10.244.2.4:51234 10.244.2.4:8080 10.244.2.1:40000 - weights-v117-50-v116-50`;
  const json = (agent: string) =>
    `{"start_time":"2026-11-23T13:47:21.124Z","response_code":503,"user_agent":"${agent}","route_name":"r","authority":"x"}`;

  it("reads Istio's default text and default JSON", () => {
    expect(parseAccessLog(`${text(AGENT)}\n${json(AGENT)}\n`, AGENT)).toEqual([
      { time: Date.UTC(2026, 10, 23, 13, 47, 21, 123), status: 200, routeName: "weights-v117-50-v116-50" },
      { time: Date.UTC(2026, 10, 23, 13, 47, 21, 124), status: 503, routeName: "r" },
    ]);
  });

  it("passes over other clients, istio-proxy's own messages and lines cut off", () => {
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

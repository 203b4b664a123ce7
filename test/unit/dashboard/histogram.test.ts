/** Tests of dashboard/histogram.ts. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { added, type Histogram, percentiles } from "../../../dashboard/histogram.ts";

const BOUNDS = [1, 5, 10, null];
const histogram = (...counts: number[]): Histogram =>
  counts.map((count, index) => ({ upTo: BOUNDS[index] ?? null, count }));

test("no answer has no percentile", () => {
  expect(percentiles([])).toEqual({ p50: null, p99: null });
  expect(percentiles(undefined)).toEqual({ p50: null, p99: null });
  expect(percentiles(histogram(0, 0, 0, 0))).toEqual({ p50: null, p99: null });
});

test("a percentile is linear within its bucket, and the highest bound beyond all", () => {
  expect(percentiles(histogram(0, 100, 100, 100))).toEqual({ p50: 3, p99: 4.96 });
  expect(percentiles(histogram(60, 60, 98, 100))).toEqual({ p50: 50 / 60, p99: 10 });
});

test("answers of several servers are added up, also where one has none", () => {
  const [one, other] = [histogram(1, 2, 3, 4), histogram(0, 5, 5, 6)];
  expect(added([{ times: one }, {}, { times: other }])).toEqual(histogram(1, 7, 8, 10));
  expect(added([{}, {}])).toEqual([]);
});

test.skipIf(spawnSync("promtool", ["--version"]).error)("PromQL's histogram_quantile agrees", () => {
  const all = [histogram(3, 17, 40, 41), histogram(0, 0, 0, 7), histogram(12, 12, 12, 12)];
  const series = all.flatMap((times, name) =>
    times.map(({ upTo, count }) => ({
      series: `times_bucket{name="${name}",le="${upTo ?? "+Inf"}"}`,
      values: `${count}`,
    })),
  );
  const samples = (q: "p50" | "p99", rank: number) => ({
    expr: `histogram_quantile(${rank}, times_bucket)`,
    eval_time: "0s",
    exp_samples: all.map((times, name) => ({ labels: `{name="${name}"}`, value: percentiles(times)[q] })),
  });
  const tests = [{ input_series: series, promql_expr_test: [samples("p50", 0.5), samples("p99", 0.99)] }];
  const directory = mkdtempSync(join(tmpdir(), "istio-lab-quantiles-"));
  try {
    writeFileSync(join(directory, "test.yml"), stringify({ tests }));
    const { status, stdout, stderr } = spawnSync("promtool", ["test", "rules", "test.yml"], {
      cwd: directory,
      encoding: "utf8",
    });
    expect(status, `${stdout}${stderr}`).toBe(0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

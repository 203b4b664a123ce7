/** Tests of bench/observeTable.ts and bench/load.ts. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { closedLoop, openLoop } from "../../../bench/load.ts";
import { renderObserve } from "../../../bench/observeTable.ts";

const load = (ms: number[], seconds = 1) => ({ ms, failed: 0, seconds });
const loads = (ms: number[]) => ({ closed: load(ms), open: load(ms) });

it("each figure has a row: off, on, and the median of the rounds' ratios", () => {
  const text = renderObserve({
    up: { off: [40, 50], on: [60, 70] },
    rounds: [
      { off: loads([2, 2, 2]), on: loads([3, 3, 3]) },
      { off: loads([4, 4]), on: loads([6, 6]) },
    ],
    page: { weights: [1500], shares: [11_000, 13_000] },
  });
  expect(text).toContain("| `./lab up` from nothing, s | 40.0 / 45.0 / 50.0 | 60.0 / 65.0 / 70.0 | 1.45 |");
  expect(text).toContain("| requests a second, clients without a pause | 2 / 3 / 3 | 2 / 3 / 3 | 1.00 |");
  expect(text).toContain("| p99 at a steady pace, ms | 2.00 / 3.00 / 4.00 | 3.00 / 4.50 / 6.00 | 1.50 |");
  expect(text).toContain("| failed requests | 0 / 0 / 0 | 0 / 0 / 0 | – |");
  expect(text).toContain("| to the picture with the weights | 1.50 / 1.50 / 1.50 |");
  expect(text).toContain("| to the picture with shares that agree | 11.00 / 12.00 / 13.00 |");
});

let close: () => unknown = () => undefined;
afterEach(() => close());

/** A server that refuses every third request. */
async function pageOf() {
  let count = 0;
  const server = createServer((_, response) => {
    response.statusCode = ++count % 3 === 0 ? 503 : 200;
    response.end("page");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  close = () => server.close();
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, host: "nginx.example" };
}

it.each([
  ["without a pause", (page: { url: string; host: string }) => closedLoop(page, 2, 0.2)],
  ["at a steady pace", (page: { url: string; host: string }) => openLoop(page, 100, 0.2)],
])("requests %s: each good answer has its time, the others are counted", async (_, run) => {
  const { ms, failed, seconds } = await run(await pageOf());
  expect(ms.length).toBeGreaterThan(1);
  expect(ms.every((time) => time > 0)).toBe(true);
  expect(failed).toBe(Math.floor((ms.length + failed) / 3));
  expect(seconds).toBeGreaterThanOrEqual(0.2);
});

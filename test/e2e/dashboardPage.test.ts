// The live page in Chromium, with invented pictures: keyboard, screen reader, contrast, old data. It needs no
// lab.

import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../clients/process.ts";
import { type Dashboard, startDashboard } from "../../dashboard/dashboard.ts";
import {
  type Measured,
  type MeasuredServer,
  type Picture,
  pictureOf,
  type Setting,
} from "../../dashboard/picture.ts";
import { Browser } from "../support/e2e/browser.ts";
import { SOON } from "../support/e2e/soon.ts";

const LINK = "http://127.0.0.1:9411/zipkin/?lookback=15m";

/** Half of the answers within 110 ms, 99 of 100 within 900 ms: figures as wide as any. */
const TIMES = [
  { upTo: 110, count: 500 },
  { upTo: 900, count: 990 },
  { upTo: null, count: 1000 },
];

const MEASURED: Omit<Measured, "at"> = {
  clockAhead: 0,
  windowSeconds: 10,
  haproxy: {
    requests: 1000,
    errors: 0,
    mean: 4,
    servers: [
      { name: "node02", state: "up", requests: 1000, errors: 0, mean: 4, times: TIMES },
      { name: "node03", state: "down", requests: 0, errors: 0, mean: null },
    ],
  },
  gateway: { requests: 1000, errors: 0, p50: 3, p99: 12 },
  versions: [
    { name: "v116", requests: 880, errors: 0, p50: 2, p99: 9 },
    { name: "v117", requests: 120, errors: 12, p50: 2, p99: 1900 },
  ],
  history: { times: [1, 2], shares: { v116: [50, 88], v117: [50, 12] } },
};

const WEIGHTS: Setting["weights"] = { v116: 90, v117: 10 };

const pictureAt = (at: number, measured: Omit<Measured, "at"> = MEASURED, weights = WEIGHTS): Picture =>
  pictureOf(
    { ...measured, at },
    {
      url: "http://nginx.example/echo/test.txt",
      weights,
      changes: [{ at: at - 60_000, weights }],
      pods: { v116: { ready: 3, wanted: 3 }, v117: { ready: 0, wanted: 3 } },
      links: [
        { label: "The latest traces", href: LINK },
        { label: "Traces with errors", href: `${LINK}&annotationQuery=error` },
      ],
      problems: ["Alert VersionSlow: v117 is slow."],
    },
  );

let measure: () => Promise<Picture> = async () => pictureAt(Date.now());
let dashboard: Dashboard;
let browser: Browser;
beforeAll(async () => {
  dashboard = await startDashboard({ port: 0, measure: () => measure() });
  browser = await Browser.start({ hosts: { "127.0.0.1": "127.0.0.1" } });
  await browser.open(dashboard.url);
  await until("the page to be live", async () => (await state()) === "live");
});
afterAll(async () => {
  await browser?.close();
  await dashboard?.close();
});

const state = () => browser.evaluate('document.getElementById("state").dataset.state');
const words = () => browser.evaluate('document.getElementById("state").innerText');

test("a screen reader gets the graph in a sentence, tables with headers, and the state as it changes", async () => {
  const nodes = await browser.accessibility();
  const names = (role: string) => nodes.filter((node) => node.role === role).map(({ name }) => name);
  expect(names("image").join()).toContain(
    "Of the requests behind the gateway 88.0 % go to v116 (weight 90 %), 12.0 % go to v117 (weight 10 %)",
  );
  expect(names("status")).toHaveLength(1);
  expect(names("columnheader")).toEqual(expect.arrayContaining(["version", "weight", "share", "state"]));
  expect(names("rowheader")).toEqual(expect.arrayContaining(["v116", "v117", "node02", "node03"]));
  expect(names("heading")).toContain("Versions");
  expect(names("main")).toHaveLength(1);
});

test("the keyboard reaches every link and every part that scrolls, and the focus is seen", async () => {
  const focused: unknown[] = [];
  for (let press = 0; press < 8; press++) {
    await browser.press("Tab");
    const element = "document.activeElement";
    focused.push(
      await browser.evaluate(
        `getComputedStyle(${element}).outlineStyle + " " + (${element}.innerText || ${element}.ariaLabel)`,
      ),
    );
  }
  const seen = focused.filter((text) => String(text).startsWith("solid")).join("\n");
  for (const name of ["nginx.example", "The latest traces", "Traces with errors"])
    expect(seen).toContain(name);
  const scrolling = await browser.evaluate(
    '[...document.querySelectorAll(".scroll")].filter((part) => part.scrollWidth > part.clientWidth).map((part) => part.tabIndex)',
  );
  expect(scrolling).toContain(0);
  expect(scrolling).not.toContain(-1);
});

test.each(["light", "dark"])("every text has a contrast of 4.5 or more in %s", async (scheme) => {
  await browser.prefer({ "prefers-color-scheme": scheme });
  const background = (await browser.evaluate("getComputedStyle(document.body).backgroundColor")) as string;
  expect(luminance(background)).toSatisfy((value: number) => (scheme === "dark" ? value < 0.1 : value > 0.9));
  const texts = (await browser.evaluate(`[...document.querySelectorAll(
    "h1, h2, a, td, th, li, #state, svg text"
  )].map((node) => {
    const style = getComputedStyle(node);
    return [node.textContent.slice(0, 30), node.namespaceURI.endsWith("svg") ? style.fill : style.color];
  })`)) as [string, string][];
  expect(texts.length).toBeGreaterThan(30);
  expect(texts.filter(([, color]) => contrast(color, background) < 4.5)).toEqual([]);
});

test("a version that is off, and a server that is down, show by more than their colour", async () => {
  const dashed = await browser.evaluate(
    '[...document.querySelectorAll(".box.off .frame, .box.down .frame")].map((box) => getComputedStyle(box).strokeDasharray)',
  );
  expect(dashed).toEqual(["6px, 4px"]);
  expect(await browser.evaluate("document.body.innerText")).toMatch(/node03\tdown/);
});

test("links lead to the traces: the latest, and those with errors", async () => {
  const links = await browser.evaluate('[...document.querySelectorAll("#links a")].map((link) => link.href)');
  expect(links).toEqual([LINK, `${LINK}&annotationQuery=error`]);
});

test("edges of HAProxy have p50 and p99 where they are measured, the mean where they are not", async () => {
  const times = () =>
    browser.evaluate(
      '["client", "server-node02"].map((id) => document.getElementById("edge-" + id).lastChild.textContent)',
    );
  await expect.poll(times, SOON).toEqual(Array(2).fill("p50 110 ms · p99 900 ms"));
  const row = '[...document.querySelectorAll("#servers tbody tr:first-child td")].slice(-3)';
  expect(await browser.evaluate(`${row}.map((cell) => cell.textContent)`)).toEqual([
    "110 ms",
    "900 ms",
    "4.0 ms",
  ]);
  const covered = await browser.evaluate(`[...document.querySelectorAll(".figures text")].filter((text) => {
    const { x, y, width, height } = text.getBBox();
    return [...document.querySelectorAll(".frame")].some((frame) => {
      const box = frame.getBBox();
      return x < box.x + box.width && box.x < x + width && y < box.y + box.height && box.y < y + height;
    });
  }).map((text) => text.textContent)`);
  expect(covered).toEqual([]);
  const { haproxy } = MEASURED;
  const servers = haproxy?.servers.map((server) => ({ ...server, times: undefined }));
  measure = async () =>
    pictureAt(Date.now(), { ...MEASURED, ...(haproxy && servers && { haproxy: { ...haproxy, servers } }) });
  await expect.poll(times, SOON).toEqual(["mean 4.0 ms", "mean 4.0 ms"]);
  measure = async () => pictureAt(Date.now());
});

test("nothing is loaded from elsewhere", async () => {
  const origins = await browser.evaluate(
    '[...new Set(performance.getEntriesByType("resource").map(({ name }) => new URL(name).origin))]',
  );
  expect(origins).toEqual([new URL(dashboard.url).origin]);
});

test("many nodes and long names fit the graph: one box for nodes that are alike, no text beyond its box", async () => {
  const servers = Array.from({ length: 25 }, (_, index): MeasuredServer => {
    const name = `ip-10-0-12-${100 + index}.eu-central-1.compute.internal`;
    return { name, state: index === 7 ? "down" : "up", requests: 40, errors: 0, mean: 4 };
  });
  const long = "candidate-of-the-next-version";
  const measured = {
    ...MEASURED,
    haproxy: { requests: 1000, errors: 0, mean: 1234, servers },
    gateway: { requests: 123_456, errors: 0, p50: 123, p99: 12_345 },
    versions: [...MEASURED.versions, { name: long, requests: 100, errors: 1, p50: 123, p99: 12_345 }],
  };
  const weights = { v116: 60, v117: 30, [long]: 10 };
  measure = async () => pictureAt(Date.now(), measured, weights);
  const titles = () =>
    browser.evaluate('[...document.querySelectorAll(".box .name")].map((name) => name.textContent)');
  await expect.poll(titles, SOON).toContain("24 servers");
  expect(await titles()).toEqual(expect.arrayContaining(["ip-10-0-12-107…", "candida…version"]));
  const outside = await browser.evaluate(`[...document.querySelectorAll(".box")].flatMap((box) => {
    const frame = box.querySelector(".frame").getBBox();
    return [...box.querySelectorAll("text")].filter((text) => {
      const { x, y, width, height } = text.getBBox();
      return x < frame.x || x + width > frame.x + frame.width || y + height > frame.y + frame.height;
    }).map((text) => text.textContent);
  })`);
  expect(outside).toEqual([]);
  const cut = await browser.evaluate(`[...document.querySelectorAll("#graph text")].filter((text) => {
    const { x, y, width, height } = document.getElementById("graph").viewBox.baseVal;
    const box = text.getBBox();
    return box.x < x || box.y < y || box.x + box.width > x + width || box.y + box.height > y + height;
  }).map((text) => text.textContent)`);
  expect(cut).toEqual([]);
  expect(await browser.evaluate('document.querySelectorAll("#servers tbody tr").length')).toBe(25);
});

test("alerts are above the graph; without requests the page says what to do", async () => {
  const notices = () =>
    browser.evaluate('[...document.querySelectorAll("header #problems li")].map((item) => item.innerText)');
  const alert = "Alert VersionSlow: v117 is slow.";
  await expect.poll(notices, SOON).toEqual([alert]);
  const none = MEASURED.versions.map((version) => ({
    ...version,
    requests: 0,
    errors: 0,
    p50: null,
    p99: null,
  }));
  // A Prometheus that has just started has no history.
  const history = { times: [], shares: {} };
  measure = async () => pictureAt(Date.now(), { ...MEASURED, versions: none, history });
  const idle = "No request in the last 10 s: open the address above, or send some with the probe.";
  await expect.poll(notices, SOON).toEqual([idle, alert]);
  measure = async () => pictureAt(Date.now());
  await expect.poll(notices, SOON).toEqual([alert]);
  expect(await words()).toBe("live");
});

test("old data are reported as old, and the last measurement stays", async () => {
  measure = async () => pictureAt(Date.now() - 60_000);
  await expect.poll(state, SOON).toBe("stale");
  expect(await words()).toMatch(/^the newest measurement is old; what is shown is of /);
  expect(await browser.evaluate('document.querySelectorAll("#versions tbody tr").length')).toBe(2);
  measure = async () => {
    throw new Error("Prometheus answers but has stored no sample for 60 s");
  };
  await expect
    .poll(words, SOON)
    .toMatch(/^Prometheus answers but has stored no sample .*; what is shown is of /);
  expect(await state()).toBe("away");
});

test("data that are fresh again are live; a dashboard that has ended is named", async () => {
  measure = async () => pictureAt(Date.now());
  await expect.poll(state, SOON).toBe("live");
  measure = async () => pictureAt(Date.now() - 60_000);
  await expect.poll(state, SOON).toBe("stale");
  await dashboard.close();
  await expect.poll(words, SOON).toContain("the dashboard does not answer");
});

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/[\d.]+/g) ?? []).map((digits) => {
    const part = Number(digits) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** As WCAG 2 defines it: from 1 to 21. */
function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

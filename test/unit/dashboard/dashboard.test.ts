/** Tests of dashboard/dashboard.ts. */
import { afterEach, expect, test } from "vitest";
import { type Dashboard, startDashboard } from "../../../dashboard/dashboard.ts";
import { type Picture, pictureOf } from "../../../dashboard/picture.ts";

let dashboard: Dashboard | undefined;
afterEach(() => dashboard?.close());

const picture = (): Picture =>
  pictureOf(
    { at: Date.now(), windowSeconds: 10, versions: [], history: { times: [], shares: {} } },
    { url: "http://x/", weights: { v116: 100 }, changes: [], pods: {}, links: [], problems: [] },
  );

async function start(measure: (signal: AbortSignal) => Promise<Picture>): Promise<string> {
  dashboard = await startDashboard({ port: 0, measure });
  return dashboard.url;
}

test("serves the page and all that it loads, with a policy that allows nothing from elsewhere", async () => {
  const url = await start(async () => picture());
  const page = await fetch(url);
  expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
  const html = await page.text();
  const wanted = [...html.matchAll(/(?:src|href)="([a-z.]+\.(?:ts|css))"/g)].map(([, path]) => path ?? "");
  expect(wanted.sort()).toEqual(["page.css", "page.ts", "uplot.css"]);
  const modules = new Set(wanted);
  for (const path of modules) {
    const response = await fetch(new URL(path, url));
    expect([path, response.status]).toEqual([path, 200]);
    const body = await response.text();
    if (!path.endsWith(".ts")) continue;
    // Types are gone, and each module that is imported is served too.
    expect(body).not.toMatch(/\binterface\b/);
    for (const [, next] of body.matchAll(/from "[./]*\/([\w.]+)"/g)) modules.add(next ?? "");
  }
  expect(modules).toContain("uplot.js");
});

test("the newest picture follows, and an error comes with the picture before it", async () => {
  let broken = false;
  const url = await start(async () => {
    if (broken) throw new Error("Prometheus: not today");
    return picture();
  });
  const get = async () =>
    (await (await fetch(new URL("picture.json", url))).json()) as { picture?: Picture; problem?: string };
  await expect.poll(async () => (await get()).picture?.versions[0]?.name).toBe("v116");
  broken = true;
  await expect.poll(async () => (await get()).problem, { timeout: 5000 }).toBe("Prometheus: not today");
  expect((await get()).picture).toBeDefined();
});

test("a foreign Host or Origin gets nothing", async () => {
  const url = await start(async () => picture());
  const response = await fetch(new URL("picture.json", url), {
    headers: { origin: "http://attacker.example" },
  });
  expect(response.status).toBe(403);
  expect(await response.text()).not.toContain("v116");
});

test("a port in use is an error", async () => {
  const url = await start(async () => picture());
  const again = startDashboard({ port: Number(new URL(url).port), measure: async () => picture() });
  await expect(again).rejects.toMatchObject({ code: "EADDRINUSE" });
});

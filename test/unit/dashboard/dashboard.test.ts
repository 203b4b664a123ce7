/** Tests of dashboard/dashboard.ts. */
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { NoAnswer } from "../../../clients/kubernetes.ts";
import { type Dashboard, startDashboard } from "../../../dashboard/dashboard.ts";
import { type Picture, pictureOf } from "../../../dashboard/picture.ts";

let dashboard: Dashboard | undefined;
afterEach(() => dashboard?.close());

const picture = (): Picture =>
  pictureOf(
    { at: Date.now(), clockAhead: 0, windowSeconds: 10, versions: [], history: { times: [], shares: {} } },
    { url: "http://x/", weights: { v116: 100 }, changes: [], pods: {}, links: [], problems: [] },
  );

const printed: string[] = [];

async function start(measure: (signal: AbortSignal) => Promise<Picture>): Promise<string> {
  printed.length = 0;
  dashboard = await startDashboard({ port: 0, measure, print: (line) => printed.push(line) });
  return dashboard.url;
}

/** One request as it stands on the wire; the whole answer. */
async function raw(url: string, requestLine: string, ...headers: string[]): Promise<string> {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.end([requestLine, `Host: ${host}`, "Connection: close", ...headers, "", ""].join("\r\n"));
  let text = "";
  for await (const chunk of socket.setEncoding("utf8")) text += chunk;
  return text;
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
    // Types are removed, and each imported module is served too.
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

test.each([
  ["GET //[ HTTP/1.1", 404],
  ["GET http://[ HTTP/1.1", 404],
  ["GET /../../../../etc/passwd HTTP/1.1", 404],
  ["GET /%2e%2e/%2e%2e/package.json HTTP/1.1", 404],
  ["GET /page.ts/../../../package.json HTTP/1.1", 404],
  ["GET /page.ts%00 HTTP/1.1", 404],
  ["GET /?LONG HTTP/1.1", 200],
  ["POST /picture.json HTTP/1.1", 403],
  ["TRACE / HTTP/1.1", 403],
  ["PROPFIND / HTTP/1.1", 403],
  ["NONSENSE / HTTP/1.1", 400],
])("%s: no other file, no crash", async (line, status) => {
  const url = await start(async () => picture());
  const answer = await raw(url, line.replace("LONG", "x".repeat(10_000)));
  expect(answer.split("\r\n")[0]).toContain(`HTTP/1.1 ${status} `);
  expect(answer).not.toContain("devDependencies");
  expect((await fetch(url)).status).toBe(200);
});

test("an upgrade to a web socket is an ordinary request, of the page's own origin alone", async () => {
  const url = await start(async () => picture());
  const upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
  const line = "GET /picture.json HTTP/1.1";
  const elsewhere = await raw(url, line, ...upgrade, "Origin: http://attacker.example");
  expect(elsewhere).toMatch(/^HTTP\/1\.1 403 /);
  expect(await raw(url, line, ...upgrade)).toMatch(/^HTTP\/1\.1 200 /);
});

test("many pages share one measurement", async () => {
  let measurements = 0;
  const gate = Promise.withResolvers<Picture>();
  const url = await start(() => {
    measurements++;
    return gate.promise;
  });
  const answers = await Promise.all(
    Array.from({ length: 100 }, async () => (await fetch(new URL("picture.json", url))).status),
  );
  gate.resolve(picture());
  expect(new Set(answers)).toEqual(new Set([200]));
  expect(measurements).toBe(1);
});

test("a cluster that is away from the start: the page says so, and shows the picture once it is back", async () => {
  let away = true;
  const url = await start(async () => {
    if (away) throw new NoAnswer("connection", "connect ECONNREFUSED 10.0.0.1:6443");
    return picture();
  });
  const get = async () =>
    (await (await fetch(new URL("picture.json", url))).json()) as { picture?: Picture; problem?: string };
  await expect.poll(async () => (await get()).problem).toContain("ECONNREFUSED 10.0.0.1:6443");
  expect((await get()).picture).toBeUndefined();
  away = false;
  await expect.poll(get, { timeout: 5000 }).toMatchObject({ picture: { url: "http://x/" } });
  expect((await get()).problem).toBeUndefined();
});

test("what a credential plugin prints is for the terminal, once; the page says where", async () => {
  const error = new NoAnswer("credentials", "getting credentials: token eyJhbGciOi has expired");
  const url = await start(async () => {
    throw new Error(`Prometheus does not answer: ${error.message}`, { cause: error });
  });
  const problem = async () =>
    ((await (await fetch(new URL("picture.json", url))).json()) as { problem?: string }).problem;
  await expect.poll(problem).toContain("the terminal of the dashboard shows why");
  expect(await problem()).not.toContain("eyJ");
  expect(printed).toEqual([expect.stringContaining("eyJhbGciOi has expired")]);
});

test("a user and a password in an address do not reach the page", async () => {
  const url = await start(async () => {
    throw new Error("Prometheus at http://me:hidden@x:9090 does not answer");
  });
  const problem = async () =>
    ((await (await fetch(new URL("picture.json", url))).json()) as { problem?: string }).problem;
  await expect.poll(problem).toBe("Prometheus at http://x:9090 does not answer");
});

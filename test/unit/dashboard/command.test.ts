/** Tests of dashboard/command.ts. */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { dashboardCommand, type Observed } from "../../../dashboard/command.ts";
import { apiOf } from "../../support/clusterServer.ts";

const OBSERVED: Observed = {
  url: "http://shop/",
  namespace: "shop",
  prometheus: { namespace: "observe", service: "prometheus", port: 9090 },
  scrapeSeconds: 2,
  versionLabels: { v116: "1.16" },
};

/** Runs the command until `use` has ended, then interrupts it; its exit code and what it prints. */
async function run(
  args: readonly string[],
  observed: Observed,
  use: (url: string) => Promise<void> = async () => undefined,
) {
  const { api } = await apiOf({
    "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/nginx": {
      metadata: { name: "nginx" },
      spec: { http: [{ route: [{ destination: { subset: "v116" }, weight: 100 }] }] },
    },
  });
  const printed = Promise.withResolvers<string>();
  const log = vi.spyOn(console, "log").mockImplementation((line: string) => printed.resolve(line));
  const note = vi.spyOn(console, "error").mockImplementation(() => undefined);
  onTestFinished(() => {
    log.mockRestore();
    note.mockRestore();
  });
  let errors = "";
  const command = dashboardCommand({ connect: async () => api, observed: async () => observed })
    .exitOverride()
    .configureOutput({ writeErr: (text) => (errors += text) });
  const ended = command.parseAsync([...args], { from: "user" }).then(
    () => "",
    (error: Error) => errors.trim() || error.message,
  );
  const url = await Promise.race([printed.promise, ended]);
  if (!url.startsWith("http")) return url;
  await use(url);
  process.emit("SIGINT");
  return await ended;
}

test.each(["65536", "-1", "http", "80.5", "1e3", ""])(
  "--port=%s is refused, with what would be right",
  async (port) => {
    expect(await run([`--port=${port}`], OBSERVED)).toMatch(/give a port from 0 to 65535/);
  },
);

test("a port in use is named, with the way out; an interrupt is no error", async () => {
  const ended = await run(["--port=0"], OBSERVED, async (url) => {
    const { port } = new URL(url);
    expect(await run([`--port=${port}`], OBSERVED)).toBe(
      `error: port ${port} of 127.0.0.1 is in use; give another one with --port`,
    );
  });
  expect(ended).toBe("");
});

test("--headers sends the file's lines to the Prometheus at monitoring.url", async () => {
  const tenants = new Set<unknown>();
  const server = createServer(({ headers }, response) => {
    tenants.add(headers["x-scope-orgid"]);
    response.end('{"status":"success","data":{"result":[]}}');
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const directory = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
    rmSync(directory, { recursive: true });
  });
  const file = join(directory, "headers");
  writeFileSync(file, "X-Scope-OrgID: shop\n");
  const prometheus = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  const ended = await run(["--port=0", "--headers", file], { ...OBSERVED, prometheus }, async (url) => {
    const shown = async () => (await fetch(`${url}picture.json`)).text();
    await expect.poll(shown, { timeout: 10_000 }).toContain("stored no sample");
  });
  expect([ended, [...tenants]]).toEqual(["", ["shop"]]);
});

test("--headers without monitoring.url, and --open without a deployment: the reason is given", async () => {
  expect(await run(["--port=0", "--headers=f"], OBSERVED)).toContain("which this stack does not set");
  expect(await run(["--port=0", "--open=zipkin"], OBSERVED)).toContain("no Zipkin is deployed");
  const prometheus = { url: "http://prometheus:9090" };
  expect(await run(["--port=0", "--open=prometheus"], { ...OBSERVED, prometheus })).toContain(
    "its pages are at http://prometheus:9090",
  );
});

/** Tests of probe/shift/shift.ts. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { stringify } from "yaml";
import { shiftCommand } from "../../../../probe/shift/command.ts";
import { observeShift, renderObservation, type ShiftLab } from "../../../../probe/shift/shift.ts";
import { findKubectl } from "../../../support/kubectl.ts";
import { PAGES, type PageServer, pageServer } from "../../../support/probeServer.ts";

let lab: FakeLab;
beforeEach(async () => {
  vi.stubEnv("PATH", `${dirname(findKubectl())}${delimiter}${process.env.PATH}`);
  lab = await FakeLab.start();
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  await lab.close();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
});

describe("observeShift", () => {
  it("reads first new and last old from the gateway's access log, once the old route is quiet", async () => {
    const { times, requests, failed } = await observeShift(lab, () => lab.shiftTo({ v116: 0, v117: 100 }));
    expect(times?.method).toBe("access log");
    const { firstNewMs, lastOldMs } = times as { firstNewMs: number; lastOldMs: number };
    expect(lastOldMs - firstNewMs).toBe(lab.lastOldAt - lab.firstNewAt);
    expect(lastOldMs).toBeGreaterThan(firstNewMs);
    expect(requests).toBeGreaterThanOrEqual(200);
    expect(failed).toBe(0);
  });

  it("says so where the gateway keeps no access log, and guesses nothing", async () => {
    lab.keepsLog = false;
    const observation = await observeShift(lab, () => lab.shiftTo({ v116: 0, v117: 100 }));
    expect(observation.times).toEqual({ method: "no access log", firstNewMs: null, lastOldMs: null });
    expect(renderObservation(observation)).toMatch(
      /^the ingress gateway keeps no access log, so when the old shares ended is not known; \d+ requests/,
    );
  });

  it("reports nothing where the VirtualService did not change", async () => {
    const observation = await observeShift(lab, async () => {});
    expect(observation.times).toBeNull();
    expect(renderObservation(observation)).toMatch(
      /^the VirtualService had these weights already; \d+ requests/,
    );
  });

  it("ends its stream when the change fails, and hands the error on", async () => {
    await expect(observeShift(lab, () => Promise.reject(new Error("up failed")))).rejects.toThrow(
      "up failed",
    );
    const seen = lab.requests;
    await lab.request();
    expect(lab.requests).toBe(seen + 1);
  });

  it("watches the namespace of the stack", async () => {
    lab.namespace = "shop";
    const { times } = await observeShift(lab, () => lab.shiftTo({ v116: 0, v117: 100 }));
    expect(times?.method).toBe("access log");
  });

  it("names the way out where there is no VirtualService", async () => {
    await expect(observeShift({ ...lab.asLab(), namespace: "elsewhere" }, async () => {})).rejects.toThrow(
      "no VirtualService nginx in namespace elsewhere: the stack is not up; run pulumi up, or ./lab up",
    );
  });

  it("starts the watch again where the API server ends it", async () => {
    const { times } = await observeShift(lab, async () => {
      await lab.endWatches();
      await lab.shiftTo({ v116: 0, v117: 100 });
    });
    expect(times?.method).toBe("access log");
  });

  it("sees a change that was made while no watch was open", async () => {
    const { times } = await observeShift(lab, () => lab.shiftTo({ v116: 0, v117: 100 }, "unwatched"));
    expect(times?.method).toBe("access log");
  });
});

describe("shift on the command line", () => {
  it("sets the weights and updates in one go, and prints the shift and the new split", async () => {
    await run(["v116=0", "v117=100", "--json"]);
    expect(lab.pulumiCalls).toEqual([
      [
        ...["up", "--yes", "--skip-preview", "--config-path"],
        ...["--config", "weights.v116=0", "--config", "weights.v117=100"],
      ],
    ]);
    const printed = JSON.parse(String(vi.mocked(console.log).mock.calls[0]?.[0]));
    expect(printed).toMatchObject({
      weights: { v116: 0, v117: 100 },
      shift: { times: { method: "access log" }, failed: 0 },
      probe: { requests: 400, failed: 0, served: { v116: 0, v117: 400 }, ok: true },
    });
    expect(process.exitCode).toBeUndefined();
  });

  it("touches nothing when the weights are wrong", async () => {
    await expect(run(["v116=20", "v118=x"])).rejects.toMatchObject({
      exitCode: 2,
      message: [
        "v118=x: no such version (did you mean v116?); the versions are v116, v117",
        "v117: give v117 an integer percent; 0 is legal",
        "v118=x: give an integer percent from 0 to 100",
      ].join("\n"),
    });
    expect([lab.pulumiCalls, lab.requests]).toEqual([[], 0]);
  });

  function run(words: string[]): Promise<unknown> {
    return shiftCommand(async () => lab.asLab()).parseAsync(words, { from: "user" });
  }
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Page server, API server and Pulumi in one: the old route serves for a while after the update, as in a mesh.
 */
class FakeLab {
  updatedAt = 0;
  firstNewAt = 0;
  lastOldAt = 0;
  requests = 0;
  keepsLog = true;
  readonly pulumiCalls: string[][] = [];
  readonly host = "nginx.hung.org.hk";
  readonly pages = PAGES;
  namespace = "default";
  #weights: Record<string, number> = { v116: 100, v117: 0 };
  #generation = 1;
  #log: string[] = [];
  #afterUpdate = 0;
  #watchers: ServerResponse[] = [];
  #dir = "";
  #web!: PageServer;
  #api!: Server;

  static async start(): Promise<FakeLab> {
    const fake = new FakeLab();
    fake.#web = await pageServer((request, response) =>
      fake.#serve(request.headers["user-agent"] ?? "", response),
    );
    fake.#api = createServer((request, response) => fake.#answerApi(request.url ?? "", response));
    await new Promise<void>((resolve) => fake.#api.listen(0, "127.0.0.1", resolve));
    fake.#dir = await mkdtemp(join(tmpdir(), "shift-"));
    const { port } = fake.#api.address() as AddressInfo;
    await writeFile(
      fake.cluster.kubeconfig,
      stringify({
        clusters: [
          { name: "c", cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } },
        ],
        users: [{ name: "u", user: {} }],
        contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
        "current-context": "x",
      }),
    );
    return fake;
  }

  get url(): string {
    return this.#web.url;
  }

  get cluster(): { kubeconfig: string } {
    return { kubeconfig: join(this.#dir, "kubeconfig") };
  }

  asLab(): ShiftLab {
    const { url, host, pages, namespace, cluster } = this;
    return {
      url,
      host,
      pages,
      namespace,
      cluster,
      pulumi: async (args) => {
        this.pulumiCalls.push(args);
        if (args[0] === "up") await this.shiftTo({ v116: 0, v117: 100 });
      },
    };
  }

  /**
   * Updates the VirtualService once the stream is running and a watch is open; unwatched: ends that watch
   * first.
   */
  async shiftTo(weights: Record<string, number>, unwatched?: "unwatched"): Promise<void> {
    while (this.requests < 20 || this.#watchers.length === 0) await turn();
    this.#weights = weights;
    this.#generation++;
    this.updatedAt = Date.now();
    if (unwatched) return this.endWatches();
    for (const watcher of this.#watchers) {
      watcher.write(`${JSON.stringify({ type: "MODIFIED", object: this.#virtualService() })}\n`);
    }
  }

  async endWatches(): Promise<void> {
    while (this.#watchers.length === 0) await turn();
    for (const watcher of this.#watchers.splice(0)) watcher.end();
  }

  async request(): Promise<void> {
    await fetch(this.url);
  }

  async close(): Promise<void> {
    await this.#web.close();
    this.#api.closeAllConnections();
    await new Promise((resolve) => this.#api.close(resolve));
    await rm(this.#dir, { recursive: true });
  }

  /** After the update ten more requests go by the old route, with the fourth already by the new one. */
  #serve(agent: string, response: ServerResponse): void {
    this.requests++;
    const now = Date.now();
    if (this.updatedAt > 0) this.#afterUpdate++;
    const isNew = this.#afterUpdate === 4 || this.#afterUpdate > 11;
    if (isNew) this.firstNewAt ||= now;
    else this.lastOldAt = now;
    const route = isNew ? "weights-v117-100-v116-0" : "weights-v117-0-v116-100";
    this.#log.push(
      `[${new Date(now).toISOString()}] "GET /echo/test.txt HTTP/1.1" 200 - via_upstream - "-" 0 8 1 1 ` +
        `"-" "${agent}" "id" "${this.host}" "10.0.0.1:80" outbound|80|| 10.0.0.1:1 10.0.0.1:2 10.0.0.1:3 ` +
        `- ${route}`,
    );
    response.end(isNew ? PAGES.v117 : PAGES.v116);
  }

  #virtualService(): object {
    const route = Object.entries(this.#weights).map(([subset, weight]) => ({
      destination: { subset },
      weight,
    }));
    const name = `weights-v117-${this.#weights.v117}-v116-${this.#weights.v116}`;
    return {
      metadata: { name: "nginx", generation: this.#generation, resourceVersion: String(this.#generation) },
      spec: { http: [{ name, route }] },
    };
  }

  #answerApi(url: string, response: ServerResponse): void {
    const json = (body: object, status = 200): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    if (url.includes("watch=true")) {
      response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
      this.#watchers.push(response);
    } else if (url.endsWith(`/namespaces/${this.namespace}/virtualservices/nginx`))
      json(this.#virtualService());
    else if (url.includes("/pods/gateway-1/log")) {
      response
        .writeHead(200, { "content-type": "text/plain" })
        .end(this.keepsLog ? this.#log.join("\n") : "ready\n");
    } else if (url.includes("/pods")) json({ items: [{ metadata: { name: "gateway-1" } }] });
    else json({ kind: "Status", code: 404 }, 404);
  }
}

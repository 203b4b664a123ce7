// HAProxy in a container of a real Podman and of a real Docker on the load-balancer machine, with the
// commands of docs/load-balancer.md:
//   npx vitest run --project extra test/extra/haproxyContainer.test.ts
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOTS, rootFileSystem } from "../../embedded/toolchain/roots.ts";
import { documentedCommands, prepare } from "../support/e2e/containerHost.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";

const PACKAGES = {
  podman: ["podman", "crun", "netavark"],
  docker: ["docker.io"],
};

describe.each(["podman", "docker"] as const)("HAProxy in a container of %s", (engine) => {
  const site = new EdgeSite(`edge-${engine}`);
  const startedAt = () => site.inside(`${engine} inspect --format '{{.State.StartedAt}}' haproxy`);
  let reloadCommand = "";
  const push = (text: string) => site.push(text, { reloadCommand });
  const sudo = async (script: string) => {
    const { exitCode, stdout } = await site.ssh("sudo sh 2>&1", script);
    expect(exitCode, stdout).toBe(0);
  };

  beforeAll(async () => {
    const name = engine === "podman" ? "container-host" : `container-host-${engine}`;
    const packages = [...ROOTS.loadBalancer.packages, ...PACKAGES[engine]];
    await site.start(await rootFileSystem({ name, packages }));
    expect(await site.inside(prepare(engine))).toMatch(/prepared$/);
    const { setUp, reload } = await documentedCommands(engine);
    reloadCommand = reload;
    await sudo(`set -eu\n${setUp}`);
  });
  afterAll(() => site.stop());

  test("is accepted by the preflight", async () => {
    expect((await site.look({ reloadCommand })).faults).toEqual([]);
  });

  test("is started by the first push, and reloaded by the next ones without a request lost", async () => {
    const seen = { requests: 0, failed: 0, lookedAt: 0, leaks: [] };
    expect(await push(site.config("a"))).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await site.get("/")).toEqual({ statusCode: 200, body: "a" });
    const started = await startedAt();
    const failures = await site.duringRequests(seen, async () => {
      for (const page of ["b", "a", "b"] as const)
        expect(await push(site.config(page))).toMatchObject({ exitCode: 0, stderr: "" });
    });
    expect(failures).toEqual([]);
    expect(await site.get("/")).toEqual({ statusCode: 200, body: "b" });
    expect(await startedAt()).toBe(started);
  });

  test("checks a file with the container's HAProxy: a faulty one changes nothing", async () => {
    const faulty = site.signed(site.config("a").replace("mode http", "mode httpp"));
    const { exitCode, stderr } = await push(faulty);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /HAProxy rejects the new file; nothing was changed[\s\S]*unknown proxy mode 'httpp'/,
    );
    expect(await site.get("/")).toEqual({ statusCode: 200, body: "b" });
  });

  test("serves again after the container was stopped", async () => {
    await site.inside(`${engine} stop haproxy`);
    expect(await push(site.config("b"))).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await site.get("/")).toEqual({ statusCode: 200, body: "b" });
  });
});

// Other releases of Debian as the load-balancer machine, each with its own HAProxy:
//   HAPROXY=trixie,forky npx vitest run --project extra test/extra/haproxyVersions.test.ts
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOTS, rootFileSystem } from "../../embedded/toolchain/roots.ts";
import { certificateFile } from "../../haproxy/push.ts";
import { makeCertificate } from "../support/certificates.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";

/** Releases whose HAProxy has to work. */
const SUITES = (process.env.HAPROXY ?? "trixie").split(",");
const GOLDEN = join(import.meta.dirname, "../golden");

describe.each(SUITES)("a load balancer with Debian %s", (suite) => {
  const site = new EdgeSite(`edge-${suite}`);
  beforeAll(async () => {
    const { packages } = ROOTS.loadBalancer;
    await site.start(await rootFileSystem({ name: `load-balancer-${suite}`, suite, packages }));
  });
  afterAll(() => site.stop());

  test("is accepted by the preflight", async () => {
    console.log(suite, await site.inside("haproxy -v | head -n 1"));
    expect((await site.look()).faults).toEqual([]);
  });

  test("takes each rendered file without a warning", async () => {
    const made = makeCertificate("nginx.hung.org.hk");
    for (const name of await readdir(GOLDEN)) {
      const text = await readFile(join(GOLDEN, name), "utf8");
      // A file beside others has their `global`.
      const others = /^global$/m.test(text) ? "" : "global\n  log /dev/log local0\n";
      const pem = /crt (\S+)/.exec(text)?.[1];
      if (pem) await site.ssh(`sudo tee ${pem} >/dev/null`, made.certificate + made.key);
      const { exitCode, stdout } = await site.ssh(
        "cat >checked.cfg; sudo haproxy -c -f checked.cfg 2>&1",
        others + text,
      );
      if (pem) await site.inside(`rm ${pem}`);
      expect(exitCode, `${name}: ${stdout}`).toBe(0);
      expect(stdout, name).not.toMatch(/WARNING|deprecat/i);
    }
  });

  test("is pushed to, reloaded while requests come, and restored", async () => {
    const seen = { requests: 0, failed: 0, lookedAt: 0, leaks: [] };
    expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0, stderr: "" });
    await site.serves("a");
    const failures = await site.duringRequests(seen, async () => {
      for (const page of ["b", "a", "b"] as const)
        expect(await site.push(site.config(page))).toMatchObject({ exitCode: 0, stderr: "" });
    });
    expect(failures).toEqual([]);
    const made = makeCertificate("nginx.hung.org.hk");
    const file = certificateFile(site.file, made.certificate);
    const tls = { mode: "terminate", redirect: true, certificateFile: file } as const;
    const stats = { prometheus: { address: "127.0.0.1", port: 9101 } };
    expect(
      await site.push(site.config("a", { tls, stats }), { pem: made.certificate + made.key }),
    ).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await site.inside("curl -sk https://127.0.0.1/ && curl -s 127.0.0.1:9101/metrics")).toMatch(
      /^a#? ?[\s\S]*haproxy_server_status/,
    );
    expect(await site.restore()).toMatchObject({ exitCode: 0 });
    expect(await site.inside(`cat ${site.file}`)).toBe(site.original);
  });
});

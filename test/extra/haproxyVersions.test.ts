// Other lines of HAProxy on a load-balancer machine, each from a release of Debian:
//   HAPROXY=trixie,forky,experimental npx vitest run --project extra test/extra/haproxyVersions.test.ts
// The same machine for the other trials of the load balancer:
//   HAPROXY=forky npx vitest run --project e2e-alone test/e2e/edge
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { certificateFile } from "../../haproxy/push.ts";
import { makeCertificate } from "../support/certificates.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";
import { rootOfRelease } from "../support/e2e/release.ts";

/** Releases whose HAProxy has to work. */
const RELEASES = (process.env.HAPROXY ?? "trixie,forky,experimental").split(",");
const GOLDEN = join(import.meta.dirname, "../golden");

describe.each(RELEASES)("a load balancer with HAProxy of Debian %s", (release) => {
  const site = new EdgeSite(`edge-${release}`);
  beforeAll(async () => {
    await site.start(await rootOfRelease(release));
  });
  afterAll(() => site.stop());

  test("is accepted by the preflight", async () => {
    console.log(release, await site.inside("haproxy -v | head -n 1"));
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

  test("is pushed to, and reloaded while requests come", async () => {
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
  });

  test("goes on with the previous file when HAProxy refuses a new one, or does not serve with it", async () => {
    const seen = { requests: 0, failed: 0, lookedAt: 0, leaks: [] };
    expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0, stderr: "" });
    const bad = await site.pushInVain(seen, site.signed(site.config("b").replace("mode http", "mode httpp")));
    expect(bad).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("unknown proxy mode 'httpp'") });
    const none = site.config("b").replace(/bind unix@\S+/, "bind unix@/run/haproxy/none/x.sock");
    // A second failed reload shows that the master process takes reloads after the first one.
    for (let i = 0; i < 2; i++) {
      const { exitCode, stderr } = await site.push(site.signed(none));
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(/does not serve with it; the old file is back and worker \d+ serves it/);
      expect(stderr).toMatch(/\[ALERT\].*cannot bind UNIX socket/);
    }
    await site.nextPushServes("b");
  });

  test("has all addresses of IPv6, TLS passed through, and the PROXY protocol in front", async () => {
    const tls = { mode: "passthrough", redirect: false, certificateFile: "" } as const;
    const more = { tls, httpsPort: site.portOf("b"), ipv6: true };
    expect(await site.push(site.config("a", more))).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await site.inside("curl -s http://[::1]/ http://127.0.0.1/ http://[::1]:443/")).toBe("aab");
    const behind = site.config("a", { ...more, proxyProtocol: ["http", "https"] });
    expect(await site.push(behind)).toMatchObject({ exitCode: 0, stderr: "" });
    // A plain server refuses the bytes in front.
    expect(await site.inside("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/")).toMatch(/^[45]/);
  });

  test("keeps an edit by hand, and is restored byte for byte", async () => {
    await site.inside(`sed -i 's/retries 5/retries 9/' ${site.file}`);
    expect((await site.push(site.config("a"))).stdout).toContain("edited by hand: the edit is kept in");
    await site.inside(`rm ${site.file}.by-hand-*`);
    expect(await site.restore()).toMatchObject({ exitCode: 0 });
    expect(await site.inside(`cat ${site.file}`)).toBe(site.original);
  });

  test("has a file beside others, in the directory that its unit reads or is given", async () => {
    Object.assign(site.machine, { mode: "include", configFile: "/etc/haproxy/conf.d/zz-istio-lab.cfg" });
    const [fault] = (await site.look()).faults;
    if (fault) await site.inside(/ once: (.*)$/.exec(fault)?.[1] ?? "false");
    expect(await site.look()).toEqual({ faults: [], edits: [] });
    for (const page of ["a", "b"] as const) {
      expect(await site.push(site.config(page))).toMatchObject({ exitCode: 0, stderr: "" });
      expect(await site.get("/")).toEqual({ statusCode: 200, body: page });
    }
    // As on a machine that was given the directory before its unit read it.
    await site.inside(
      "unit=/lib/systemd/system/haproxy.service; grep -q CFGDIR $unit || sed -i 's| -p $PID| -f /etc/haproxy/conf.d&|' $unit\n" +
        "echo 'EXTRAOPTS=\"-f /etc/haproxy/conf.d\"' >>/etc/default/haproxy; systemctl daemon-reload",
    );
    expect((await site.look()).faults).toEqual([
      expect.stringContaining(
        "haproxy.service reads /etc/haproxy/conf.d/zz-istio-lab.cfg twice; take its path out of one of the unit's options (EXTRAOPTS in /etc/default/haproxy)",
      ),
    ]);
  });
});

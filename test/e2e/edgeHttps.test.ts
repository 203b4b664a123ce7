// Port 443 on a real load-balancer machine: certificate and key come with a push and go with it.
import { Agent, request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../clients/process.ts";
import { certificateFile } from "../../haproxy/push.ts";
import { makeCertificate } from "../support/certificates.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";
import { trial } from "../support/e2e/trial.ts";

const site = new EdgeSite("edge-https");
beforeAll(() => site.start());
afterAll(() => site.stop());

describe("port 443 of the load balancer alone", () => {
  const HOST = "nginx.hung.org.hk";
  const [first, second] = [makeCertificate(HOST), makeCertificate(HOST)];
  const secure = ({ certificate }: typeof first, redirect = false) =>
    site.config("a", {
      tls: { mode: "terminate", redirect, certificateFile: certificateFile(site.file, certificate) },
    });
  const pushSecure = (made: typeof first, key = made.key, redirect = false) =>
    site.push(secure(made, redirect), { pem: made.certificate + key });
  const STAGED = "/etc/haproxy/.haproxy.cfg.istio-lab-new.*";
  const staged = () => site.inside(`cat ${STAGED}`);
  const pems = async () =>
    (await site.inside(`stat -c '%n %U %a' ${site.file}.tls-*`)).split("\n").filter(Boolean);

  /** The answer to a client that trusts only this certificate. */
  const getSecurely = async ({ certificate }: typeof first) => {
    const dispatcher = new Agent({ connect: { ca: certificate, servername: HOST } });
    const { statusCode, body } = await request(`https://${site.machine.host}/`, { dispatcher });
    const answer = { statusCode, body: await body.text() };
    await dispatcher.close();
    return answer;
  };

  test("serves the pushed certificate, whose key root alone can read", async () => {
    expect(await pushSecure(first)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await getSecurely(first)).toEqual({ statusCode: 200, body: "a" });
    await expect(getSecurely(second)).rejects.toThrow();
    expect(await site.get("/")).toEqual({ statusCode: 200, body: "a" });
    expect(await pems()).toEqual([`${certificateFile(site.file, first.certificate)} root 600`]);
    expect(
      await site.inside(`grep -c 'PRIVATE KEY' ${site.file}; grep -rlF 'PRIVATE KEY' /tmp /var/log`),
    ).toBe("0");
  });

  trial("keeps the old certificate when the key does not belong to the new one", async () => {
    await pushSecure(first);
    const { exitCode, stderr } = await pushSecure(second, first.key);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/error: HAProxy rejects the new file; nothing was changed[\s\S]*\[ALERT\]/);
    expect(stderr).not.toContain("PRIVATE KEY");
    expect(await getSecurely(first)).toEqual({ statusCode: 200, body: "a" });
    expect(await pems()).toHaveLength(1);
  });

  trial(
    "changes the certificate, redirects from port 80 where that is set, and is switched off",
    async () => {
      await pushSecure(first);
      expect(await pushSecure(second, second.key, true)).toMatchObject({ exitCode: 0 });
      expect(await getSecurely(second)).toEqual({ statusCode: 200, body: "a" });
      expect((await site.get("/")).statusCode).toBe(308);
      expect(await pems()).toEqual([`${certificateFile(site.file, second.certificate)} root 600`]);
      expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0 });
      expect(await pems()).toEqual([]);
      await site.serves("a");
    },
  );

  test("a dry run reports what would change, and leaves no key", async () => {
    await site.push(site.config("a"));
    const pushed = site.script(secure(first), { pem: first.certificate + first.key });
    const [command, input] = [
      pushed.command.replace(/\d+/, (bytes) => String(Number(bytes) + " --dry-run".length)),
      pushed.input.replace(" push.sh ", " push.sh --dry-run "),
    ];
    expect((await site.ssh(command, input)).stdout).toContain("dry run: would replace");
    expect(await site.inside(`ls ${site.file}.tls-* /tmp/tmp.*`)).toBe("");
    await site.serves("a");
  });

  trial(
    "a push that is killed leaves no key that other users can read, and the next push deletes it",
    async () => {
      for (const finish of [() => site.push(site.config("a")), () => site.restore()]) {
        await site.push(site.config("a"));
        const { command, input } = site.script(secure(first), { pem: first.certificate + first.key });
        const killed = site.ssh(command);
        killed.stdin?.write(input.slice(0, -200));
        await until("the staged key", async () => (await staged()).includes("PRIVATE KEY"));
        await site.inside("kill -KILL $(pgrep -f push[.]sh)");
        killed.stdin?.end();
        await killed;
        expect(await staged()).toContain("PRIVATE KEY");
        expect(await site.inside(`stat -c '%U %a' ${STAGED} | sort -u`)).toBe("root 600");
        expect(await finish()).toMatchObject({ exitCode: 0 });
        expect(await staged()).toBe("");
      }
    },
  );

  test("is gone with the removal", async () => {
    await pushSecure(first);
    expect(await site.restore()).toMatchObject({ exitCode: 0 });
    expect(await pems()).toEqual([]);
    expect(await site.inside(`cat ${site.file}`)).toBe(site.original);
  });
});

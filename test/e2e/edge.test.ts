// Successful pushes to a real load-balancer machine (sshd, sudo, systemd, HAProxy), and what they leave.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { request } from "undici";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../clients/process.ts";
import { credential } from "../../haproxy/model.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";
import { trial } from "../support/e2e/trial.ts";
import { bucketsOf, expectTimes } from "../support/haproxy/responseTimes.ts";

const site = new EdgeSite("edge-test");
beforeAll(() => site.start());
afterAll(() => site.stop());

describe("a push of haproxy.cfg", () => {
  test("is served, and the previous file is kept, with its owner and mode", async () => {
    await site.inside(`chown root:haproxy ${site.file}; chmod 0640 ${site.file}`);
    const { exitCode, stdout, stderr } = await site.push(site.config("a"));
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toContain(`HAProxy worker ${await site.worker()} serves it`);
    await site.serves("a");
    expect(await site.inside(`cat ${site.file}.before-istio-lab`)).toBe(site.original);
    expect(await site.inside(`stat -c '%U:%G %a' ${site.file}`)).toBe("root:haproxy 640");
  });

  test("of the same bytes leaves the worker alone", async () => {
    await site.push(site.config("a"));
    const before = await site.worker();
    expect(await site.push(site.config("a"))).toMatchObject({
      exitCode: 0,
      stdout: `unchanged: ${site.file}, no reload`,
    });
    expect(await site.worker()).toBe(before);
    await site.serves("a");
  });

  test("shows only root on the machine which worker process serves", async () => {
    await site.push(site.config("a"));
    expect(await site.worker()).toMatch(/^\d+$/);
    const socket = "/run/haproxy/istio-lab.sock";
    expect(await site.inside(`stat -c '%U %a' ${socket}`)).toBe("root 600");
  });

  test("needs no backend that answers", async () => {
    const { exitCode, stderr } = await site.push(site.config("a", { port: 9 }));
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  });

  trial(
    "with a node whose name cannot be resolved: HAProxy serves from the others, after a restart too",
    async () => {
      const named = site
        .config("a")
        .replaceAll(/^( +server )a( .*)$/gm, "$1a$2\n$1gone node.invalid:80 tcp-ut 2s");
      const { exitCode, stdout, stderr } = await site.push(site.signed(named));
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      expect(stdout).toContain(
        "warning: node.invalid cannot be resolved here; requests go to the other nodes",
      );
      expect(await site.get("/")).toEqual({ statusCode: 200, body: "a" });
      await site.inside("systemctl restart haproxy");
      await until("the page", async () => (await site.get("/")).body === "a");
    },
  );

  test("works by hand too, as the scripts document, and so does the restore", async () => {
    const [push, restore] = await Promise.all([
      concatenated("common", "ask", "unit", "checks", "push"),
      concatenated("common", "ask", "unit", "restore"),
    ]);
    await site.ssh("cat >push.sh", push);
    await site.ssh("cat >restore.sh", restore);
    const run = (command: string, input = "") => site.ssh(command, input);
    expect((await run("sh push.sh --dry-run", site.config("b"))).stdout).toContain("dry run: would replace");
    expect(await run("sh push.sh", site.config("b"))).toMatchObject({ exitCode: 0, stderr: "" });
    await site.serves("b");
    expect((await run("sudo sh push.sh --look --listen '*:22'")).stdout).toMatch(
      /^version \d\.\d+\.\d+\nfault \S+ belongs to organization\S+, not to .*\nfault HAProxy could not listen on \*:22 .*by sshd\)$/,
    );
    expect((await run("sh restore.sh --dry-run")).stdout).toContain("dry run: would put back");
    // The command of docs/load-balancer.md for a machine that is no longer the stack's.
    expect(await run("sudo sh -s; rm push.sh restore.sh", restore)).toMatchObject({ exitCode: 0 });
    expect(await site.inside(`cat ${site.file}`)).toBe(site.original);
  });

  trial("loses no request, on kept connections or new ones", async (seen) => {
    await site.push(site.config("a"));
    const failures = await site.duringRequests(seen, async () => {
      for (const page of ["b", "a", "b"] as const)
        expect(await site.push(site.config(page))).toMatchObject({ exitCode: 0 });
    });
    expect(failures).toEqual([]);
    await site.serves("b");
  });

  trial(
    "at the same time as another one: they run one after the other, and the later file serves",
    async (seen) => {
      await site.push(site.config("a"));
      const failures = await site.duringRequests(seen, async () => {
        const outcomes = await Promise.all([site.push(site.config("a")), site.push(site.config("b"))]);
        expect(outcomes.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
      });
      expect(failures).toEqual([]);
      const page = (await site.inside(`cat ${site.file}`)) === site.config("a").trimEnd() ? "a" : "b";
      await site.serves(page);
    },
  );

  trial("keeps an edit by hand and reports it", async () => {
    await site.push(site.config("a"));
    await site.inside(`sed -i 's/retries 5/retries 9/' ${site.file}`);
    const hash = sha256(site.config("a").replace("retries 5", "retries 9")).slice(0, 12);
    const kept = `${site.file}.by-hand-${hash}`;
    expect((await site.push(site.config("b"))).stdout).toContain(
      `edited by hand: the edit is kept in ${kept}`,
    );
    expect(await site.inside(`cat ${kept}; rm ${kept}`)).toContain("retries 9");
    await site.serves("b");
  });
});

describe("the new haproxy.cfg serves in the end", () => {
  beforeEach(async () => {
    expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0 });
  });

  trial("when the connection is cut between rename and reload", async (seen) => {
    const failures = await site.duringRequests(seen, async () => {
      const cut = site.push(site.config("b"), { reloadCommand: HELD_RELOAD });
      await until("the reload", () => site.exists("/run/held"));
      await site.serves("a", { file: "b", files: [".haproxy.cfg.istio-lab-old"] });
      cut.kill("SIGKILL");
      await cut;
      await site.inside("rm /run/held");
      await site.finished();
    });
    expect(failures).toEqual([]);
    await site.serves("b");
  });

  trial("when the push dies between rename and reload: the next one finishes", async (seen) => {
    const failures = await site.duringRequests(seen, async () => {
      const cut = site.push(site.config("b"), { reloadCommand: HELD_RELOAD });
      await until("the reload", () => site.exists("/run/held"));
      await site.inside("kill -KILL $(cat /run/held); rm /run/held");
      await cut;
      await site.serves("a", { file: "b", files: [".haproxy.cfg.istio-lab-old"] });
      await site.nextPushServes("b");
    });
    expect(failures).toEqual([]);
  });

  trial("when HAProxy was stopped, for the same file and for another one", async () => {
    for (const page of ["a", "b"] as const) {
      await site.inside("systemctl stop haproxy");
      expect(await site.push(site.config(page))).toMatchObject({ exitCode: 0 });
      await site.serves(page);
    }
  });
});

describe("watching", () => {
  test("the exporter answers, and the stats page does where the password is right", async () => {
    const at = (port: number) => ({ address: site.machine.host, port });
    const password = "correct-horse-battery";
    const page = { ...at(8404), credential: credential("admin", password) };
    expect(await site.push(site.config("a", { stats: { prometheus: at(9101), page } }))).toMatchObject({
      exitCode: 0,
    });
    const get = async (where: string, headers = {}) => {
      const { statusCode, body } = await request(`http://${site.machine.host}:${where}`, {
        headers,
        reset: true,
      });
      return { statusCode, body: await body.text() };
    };
    const as = (user: string, word: string) => ({ authorization: `Basic ${btoa(`${user}:${word}`)}` });
    expect((await get("9101/metrics")).body).toContain("haproxy_process_uptime_seconds");
    expect((await get("9101/")).statusCode).toBe(404);
    expect((await get("8404/")).statusCode).toBe(401);
    expect((await get("8404/", as("admin", "another-password"))).statusCode).toBe(401);
    expect((await get("8404/", as("admin", password))).body).toContain("k8s-istio-ingress-gateway");
    expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0 });
    await expect(get("8404/")).rejects.toThrow();
  });
});

describe("response times", () => {
  const WAITS = [0, 0, 0, 7, 60, 300];
  let server: Server;
  beforeAll(async () => {
    server = createServer(({ url = "/0" }, response) => {
      setTimeout(() => response.end("a"), Number(url.slice(1)));
    });
    server.listen(0, site.lab.gateway);
    await once(server, "listening");
  });
  afterAll(() => server.close());

  test("of known waits are in their buckets at /latency, and a reload starts them anew", async () => {
    const { host } = site.machine;
    const { port } = server.address() as AddressInfo;
    const stats = { prometheus: { address: host, port: 9101 } };
    const pushed = async (servers: number) => {
      const { exitCode, stderr } = await site.push(site.config("a", { stats, port, servers }));
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    };
    const buckets = async () => {
      const { body } = await request(`http://${host}:9101/latency`, { reset: true });
      return bucketsOf(await body.text());
    };
    await pushed(2);
    const none = await buckets();
    expect(new Set(none.values())).toEqual(new Set([0]));
    const answers = await Promise.all(
      WAITS.map(async (ms) => {
        const sentAt = performance.now();
        expect(await site.get(`/${ms}`)).toEqual({ statusCode: 200, body: "a" });
        return { atLeast: ms / 1000, atMost: (performance.now() - sentAt) / 1000 };
      }),
    );
    expectTimes(none, await buckets(), answers);
    await pushed(3);
    expect(await buckets()).toEqual(none);
  });
});

describe("removal of haproxy.cfg", () => {
  trial("restores exactly the file from before the first push, and can run twice", async () => {
    await site.push(site.config("a"));
    for (const said of ["restored: ", "nothing to do: "]) {
      const { exitCode, stdout } = await site.restore();
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringContaining(said) });
      expect(await site.inside(`cat ${site.file}`)).toBe(site.original);
      expect(await site.inside(`stat -c '%U:%G %a' ${site.file}`)).toBe("root:haproxy 640");
      expect(await site.ourFiles()).toEqual([]);
      await site.isActive();
    }
  });

  trial("changes nothing when the file is no longer this stack's", async () => {
    await site.push(site.config("a"));
    await site.inside(
      `printf '%s\\n' '# mine' >/run/mine; cp ${site.file} /run/pushed; cp /run/mine ${site.file}`,
    );
    expect((await site.restore()).stdout).toContain("is not this stack's");
    expect(await site.inside(`cat ${site.file}; cp /run/pushed ${site.file}`)).toBe("# mine");
    await site.serves("a");
    await site.restore();
  });

  trial("deletes the pushed file where there was none before, and can run twice", async () => {
    await site.inside(`systemctl stop haproxy; mv ${site.file} /run/original`);
    expect(await site.push(site.config("b"))).toMatchObject({ exitCode: 0 });
    await site.serves("b", { files: ["haproxy.cfg.before-istio-lab-none"] });
    for (const said of ["removed: ", "nothing to do: "]) {
      expect((await site.restore()).stdout).toContain(said);
      expect(await site.exists(`${site.file}*`)).toBe(false);
    }
    await site.inside(`mv /run/original ${site.file}; systemctl start haproxy`);
  });
});

/**
 * Writes the push's pid and its own to a file, waits until the test removes the file, then reloads HAProxy.
 */
const HELD_RELOAD =
  "echo $PPID $$ >/run/held.new; mv /run/held.new /run/held; timeout 10 sh -c 'while [ -e /run/held ]; do sleep 0.1; done'; systemctl reload haproxy";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

async function concatenated(...parts: string[]): Promise<string> {
  const read = (name: string) => readFile(new URL(`../../haproxy/${name}.sh`, import.meta.url), "utf8");
  return (await Promise.all(parts.map(read))).join("");
}

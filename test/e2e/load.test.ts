// The load balancer of a lab that is up: under load, with a worker cut off, edited by hand, out of reach; its
// secrets.

import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { haproxyWorker, onLoadBalancer } from "../../bench/edgeMachine.ts";
import { until } from "../../clients/process.ts";
import { pulumi, stackFile } from "../../embedded/lab/stack.ts";
import { hostKey, SSH_USER, sshKeyFile, stopLoadBalancer } from "../../embedded/machines/loadBalancer.ts";
import { RequestLoop } from "../../probe/loop.ts";
import { makeCertificate } from "../support/certificates.ts";
import { type Outcome, SMALL, TestLab } from "../support/e2e/harness.ts";
import { documentedCheck, inUse } from "../support/e2e/loadBalancer.ts";
import { allFilesBelow, duringProcesses, foundIn, secret } from "../support/e2e/secrets.ts";
import { duringTraffic, type Sightings, trial } from "../support/e2e/trial.ts";
import { gatewayAgent, workerWithoutPods } from "../support/e2e/workers.ts";

const lab = new TestLab("load-test", { workers: 2 });
const { instance } = lab;
const HOST = "nginx.hung.org.hk";
const PAGES = ["v1.16.1", "v1.17.9"];
const FILE = "/etc/haproxy/haproxy.cfg";

beforeAll(async () => {
  await lab.make(SMALL);
});
afterAll(() => lab.run("down", "--fast", "--quiet"));

describe("the load balancer under load", () => {
  trial(
    "five updates, each a config push and a change of weights, 8 clients on kept connections and one on " +
      "new ones: no request fails",
    async (seen) => {
      const loop = startLoop();
      const [end, workers] = [performance.now() + 30_000, new Set([await haproxyWorker(instance)])];
      for (let i = 1; i <= 5; i++) {
        await lab.set({
          "stats.prometheus": `127.0.0.1:${9100 + i}`,
          "weights.v116": `${10 * i}`,
          "weights.v117": `${100 - 10 * i}`,
        });
        await lab.up();
        workers.add(await haproxyWorker(instance));
      }
      await loop.reached(10_000);
      await until("30 s of load", async () => performance.now() > end);
      expect(await loop.stop(seen)).toEqual([]);
      expect(workers.size).toBe(6);
      await lab.expectSplit({ v116: 50, v117: 50 });
    },
    600_000,
  );

  trial(
    "a worker is cut off: HAProxy takes it out, no request fails, and it comes back by itself",
    async (seen) => {
      const { name, link } = await workerWithoutPods(lab);
      const set = (state: "up" | "down") =>
        execa("ip", ["-n", instance.switchNetns, "link", "set", link, state]);
      const loop = startLoop();
      try {
        await loop.reached(500);
        await set("down");
        const cutAt = performance.now();
        // Two checks in a row, each of which can wait a second.
        await until(`${name} to be out`, async () => !(await inUse(instance, name)), { timeoutMs: 60_000 });
        console.log(`${name} is out ${Math.round(performance.now() - cutAt)} ms after it was cut off`);
        await loop.reached(loop.sent + 2000);
        await set("up");
        await until(`${name} to be in again`, () => inUse(instance, name));
        await loop.reached(loop.sent + 500);
      } finally {
        await set("up");
        expect(await loop.stop(seen)).toEqual([]);
        console.log(`slowest answer ${Math.round(loop.slowestMs)} ms`);
      }
    },
  );

  trial("the gateway is too busy to answer checks: every node is out, no request fails", async (seen) => {
    const names = instance.workers.map(({ name }) => name);
    const allInUse = (expected: boolean) => async () =>
      (await Promise.all(names.map((name) => inUse(instance, name)))).every((used) => used === expected);
    const agent = await gatewayAgent(lab);
    const loop = startLoop();
    try {
      process.kill(agent, "SIGSTOP");
      await until("every node to be out", allInUse(false), { timeoutMs: 60_000 });
      await loop.reached(loop.sent + 1000);
    } finally {
      process.kill(agent, "SIGCONT");
      await until("every node to be in again", allInUse(true));
      await loop.reached(loop.sent + 500);
      expect(await loop.stop(seen)).toEqual([]);
    }
  });
});

describe("haproxy.cfg edited by hand", () => {
  trial(
    "is reported by status and by the documented line, kept by the next up, and seen once",
    async (seen) => {
      expect(await documentedCheck(instance)).toBe("as pushed");
      await onLoadBalancer(instance, `sed -i 's/retries 5/retries 9/' ${FILE}`);
      expect(await documentedCheck(instance)).toBe("not as pushed");
      expect((await lab.try("status")).stdout).toContain("edited by hand since it was pushed");
      expect(await duringTraffic(lab, seen, { pages: PAGES }, () => lab.up())).toEqual([]);
      expect(await documentedCheck(instance)).toBe("as pushed");
      expect(await onLoadBalancer(instance, `grep retries ${FILE}.by-hand-*`)).toContain("retries 9");
      await lab.up("--expect-no-changes");
    },
  );
});

describe("an update that cannot reach the load balancer changes nothing, and the next one does", () => {
  trial("another machine answers there: it receives neither name nor key", async (seen) => {
    const { stdout: other } = await execa("cut", ["-d", " ", "-f", "1,2", `${sshKeyFile(instance)}.pub`]);
    const { text: right } = await hostKey(instance);
    await lab.set({ "loadBalancer.hostKey": other, "stats.prometheus": "127.0.0.1:9111" });
    const before = await onLoadBalancer(instance, LOG_ONS);
    const said = await failingUpdate(seen);
    expect(said).toMatch(/shows the host key SHA256:\S+, and loadBalancer\.hostKey is SHA256:/);
    expect(await onLoadBalancer(instance, LOG_ONS)).toBe(before);
    await lab.set({ "loadBalancer.hostKey": right });
    await upPushes("127.0.0.1:9111");
  });

  trial("the key is not accepted", async (seen) => {
    const own = await readFile(sshKeyFile(instance), "utf8");
    await setSecret("loadBalancerPrivateKey", await newKey());
    await lab.set({ "stats.prometheus": "127.0.0.1:9112" });
    const said = await failingUpdate(seen);
    expect(said).toMatch(
      /does not accept loadBalancerPrivateKey: add its public key to \S+authorized_keys of lab/,
    );
    await setSecret("loadBalancerPrivateKey", own);
    await upPushes("127.0.0.1:9112");
  });

  trial("the machine is off", async () => {
    await stopLoadBalancer(instance);
    await lab.set({ "stats.prometheus": "127.0.0.1:9113" });
    expect(await failingUp()).toMatch(/does not answer: .*; is the machine up/);
    await lab.run("up");
    expect(await onLoadBalancer(instance, `cat ${FILE}`)).toContain("bind 127.0.0.1:9113");
    await lab.expectSplit({ v116: 50, v117: 50 });
  });
});

describe("secrets", () => {
  trial("SSH key, TLS key and password of the stats page are nowhere but where they belong", async () => {
    const { certificate, key } = makeCertificate(HOST);
    const password = randomBytes(18).toString("base64url");
    const privateKey = await readFile(sshKeyFile(instance), "utf8");
    const secrets = [
      secret("SSH key", privateKey),
      secret("TLS key", key),
      secret("password", password),
      secret("credentials", `admin:${password}`),
    ];
    await setSecret("tlsCertificate", certificate);
    await setSecret("tlsKey", key);
    await setSecret("statsPassword", password);
    await lab.set({ "tls.mode": "terminate", "stats.page": "127.0.0.1:8404" });

    let printed = "";
    const run = async (...args: string[]) => {
      const outcome = await lab.try("pulumi", ...args);
      printed += text(outcome);
      return outcome.exitCode;
    };
    const processes = await duringProcesses(async () => {
      expect(await run("preview", "--diff")).toBe(0);
      expect(await run("preview", "--json")).toBe(0);
      expect(await run("up", "--yes", "--skip-preview", "--diff")).toBe(0);
      await lab.set({ "stats.page": "127.0.0.1:22" });
      expect(await run("up", "--yes", "--skip-preview")).not.toBe(0);
      await lab.set({ "stats.page": "127.0.0.1:8405" });
      expect(await run("up", "--yes")).toBe(0);
      expect(await run("stack", "export")).toBe(0);
      expect(await run("stack", "output", "--json")).toBe(0);
    });
    expect(printed).toContain("HAProxy could not listen on 127.0.0.1:22");
    expect(processes).toContain("push.sh");

    const places = {
      "what Pulumi printed": printed,
      "command lines": processes,
      "state, its history and its copies": await allFilesBelow(join(instance.dir, "pulumi")),
      "the stack's settings": await readFile(stackFile(instance), "utf8"),
      "the machine's journal": await onLoadBalancer(instance, "journalctl --no-pager --output=export"),
      "haproxy.cfg": await onLoadBalancer(instance, `cat ${FILE}`),
    };
    const found = Object.entries(places).map(([place, held]) => [place, foundIn(held, secrets)]);
    expect(found).toEqual(Object.keys(places).map((place) => [place, []]));
    // The search finds a secret that is there.
    const open = await pulumi(instance, ["config", "--show-secrets", "--json"]);
    expect(foundIn(open, secrets)).toEqual(["SSH key", "TLS key", "password"]);

    const patterns = [key.split("\n")[1], privateKey.split("\n")[3], password].map((line) => `-e '${line}'`);
    const files = await onLoadBalancer(
      instance,
      `grep -rlF ${patterns.join(" ")} /etc /home /root /run /srv /tmp /var`,
    );
    expect(files).toMatch(/^\/etc\/haproxy\/haproxy\.cfg\.tls-[0-9a-f]{16}\.pem$/);
    expect(await onLoadBalancer(instance, `stat -c '%U %a' ${files}`)).toBe("root 600");
    await lab.unset("tls", "stats");
    await lab.up();
  });
});

// ---- requests ----

function startLoop(): RequestLoop {
  return new RequestLoop(lab.url, { host: HOST, pages: PAGES, kept: 8, fresh: 1, pause: 20 }).start();
}

/** How many log-ons sshd has logged, accepted or not. */
const LOG_ONS = `journalctl --unit=ssh --output=cat | grep -c '${SSH_USER}'`;

// ---- the stack ----

/**
 * An update that fails while requests go on: none of them fails, and file and service stay as they are.
 *
 * @returns what it printed.
 */
async function failingUpdate(seen: Sightings): Promise<string> {
  const machine =
    `cat ${FILE}; systemctl is-active haproxy; curl --silent --unix-socket /run/haproxy/istio-lab.sock ` +
    "http://localhost/";
  const before = await onLoadBalancer(instance, machine);
  let said = "";
  const failures = await duringTraffic(lab, seen, { pages: PAGES }, async () => {
    said = await failingUp();
  });
  expect(failures).toEqual([]);
  expect(await onLoadBalancer(instance, machine)).toBe(before);
  return said;
}

/** An update that fails within 30 s, and names user, host and port. */
async function failingUp(): Promise<string> {
  const limit = new AbortController();
  const late = delay(30_000, undefined, { signal: limit.signal }).then(() => {
    throw new Error("no error within 30 s");
  });
  const outcome = await Promise.race([lab.try("pulumi", "up", "--yes", "--skip-preview"), late]);
  limit.abort();
  await late.catch(() => undefined);
  expect(outcome.exitCode).not.toBe(0);
  expect(text(outcome)).toContain(`load balancer ${SSH_USER}@${instance.loadBalancer.address}:22 `);
  return text(outcome);
}

async function upPushes(listener: string): Promise<void> {
  await lab.up();
  expect(await onLoadBalancer(instance, `cat ${FILE}`)).toContain(`bind ${listener}`);
  await lab.expectSplit({ v116: 50, v117: 50 });
}

const setSecret = (key: string, input: string) =>
  pulumi(instance, ["config", "set", "--secret", key], { input });

const text = ({ stdout, stderr }: Outcome) => `${stdout}\n${stderr}`;

/** A key that no machine accepts. */
async function newKey(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "istio-lab-key-"));
  try {
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(directory, "key")]);
    return await readFile(join(directory, "key"), "utf8");
  } finally {
    await rm(directory, { recursive: true });
  }
}

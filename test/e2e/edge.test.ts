// Pushes to a real load-balancer machine (sshd, sudo, systemd, HAProxy), and every fault that the host can make there.
// No cluster: two plain servers on the host's end of the bridge stand behind it, so the page tells which file serves.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { execa } from "execa";
import { Agent, request } from "undici";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EdgeMachine, haproxyWorker } from "../../bench/edgeMachine.ts";
import { until } from "../../clients/process.ts";
import {
  certificateFile,
  commands,
  connectionTo,
  standardInput,
} from "../../components/haproxyEdge/haproxyEdge.ts";
import { hostKey, SSH_USER, sshKeyFile } from "../../embedded/machines/loadBalancer.ts";
import { runRemotely } from "../../embedded/plugins/command/remote.ts";
import { credential, type LabModelArgs, labModel } from "../../haproxy/model.ts";
import { renderHaproxy } from "../../haproxy/render.ts";
import { RequestLoop } from "../../probe/loop.ts";
import { makeCertificate } from "../support/certificates.ts";
import { type Sightings, trial } from "../support/e2e/trial.ts";

const edge = new EdgeMachine("edge-test");
const { lab, machine, owner: OWNER } = edge;
const FILE = machine.configFile;

/** What each of the two files puts behind the load balancer. */
type Page = "a" | "b";
const servers = new Map<Page, Server>();
/** The file from before the first push. */
let original: string;

beforeAll(async () => {
  await edge.start();
  for (const page of ["a", "b"] as const) servers.set(page, await serve(page));
  original = await onMachine(`cat ${FILE}`);
});

afterAll(async () => {
  for (const server of servers.values()) server.close();
  await edge.stop();
});

describe("a push of haproxy.cfg", () => {
  test("puts the file into use, keeps the one from before, with its owner and mode", async () => {
    await onMachine(`chown root:haproxy ${FILE}; chmod 0640 ${FILE}`);
    const { exitCode, stdout, stderr } = await push(config("a"));
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toContain(`HAProxy worker ${await worker()} serves it`);
    await serves("a");
    expect(await onMachine(`cat ${FILE}.before-istio-lab`)).toBe(original);
    expect(await onMachine(`stat -c '%U:%G %a' ${FILE}`)).toBe("root:haproxy 640");
  });

  test("of the same bytes leaves the worker alone", async () => {
    await push(config("a"));
    const before = await worker();
    expect(await push(config("a"))).toMatchObject({ exitCode: 0, stdout: `unchanged: ${FILE}, no reload` });
    expect(await worker()).toBe(before);
    await serves("a");
  });

  test("tells who serves to the machine itself only", async () => {
    await push(config("a"));
    expect(await worker()).toMatch(/^\d+$/);
    expect(await get("/.istio-lab/worker")).toMatchObject({ body: "a" });
  });

  test("needs no backend to be proved", async () => {
    const { exitCode, stderr } = await push(config("a", { port: 9 }));
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  });

  test("goes by hand too, as the scripts say, and so does its end", async () => {
    const [apply, remove] = await Promise.all(
      ["push.sh", "restore.sh"].map((name) =>
        readFile(new URL(`../../haproxy/${name}`, import.meta.url), "utf8"),
      ),
    );
    await edge.ssh("cat > push.sh", apply);
    await edge.ssh("cat > restore.sh", remove);
    expect((await edge.ssh("sh push.sh --dry-run", config("b"))).stdout).toContain("dry run: would replace");
    expect(await edge.ssh("sh push.sh", config("b"))).toMatchObject({ exitCode: 0 });
    await serves("b");
    expect((await edge.ssh("sh restore.sh --dry-run", "")).stdout).toContain("dry run: would put back");
    // As docs/config.md has it for a machine that is no longer the stack's.
    expect(await edge.ssh("sudo sh -s; rm push.sh restore.sh", remove)).toMatchObject({ exitCode: 0 });
    expect(await onMachine(`cat ${FILE}`)).toBe(original);
  });

  trial("loses no request, on kept connections or new ones", async (seen) => {
    await push(config("a"));
    const failures = await duringRequests(seen, async () => {
      for (const page of ["b", "a", "b"] as const)
        expect(await push(config(page))).toMatchObject({ exitCode: 0 });
    });
    expect(failures).toEqual([]);
    await serves("b");
  });

  trial("beside another one: one after the other, and the later one's file serves", async (seen) => {
    await push(config("a"));
    const failures = await duringRequests(seen, async () => {
      const outcomes = await Promise.all([push(config("a")), push(config("b"))]);
      expect(outcomes.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    });
    expect(failures).toEqual([]);
    const page = (await onMachine(`cat ${FILE}`)) === config("a").trimEnd() ? "a" : "b";
    await serves(page);
  });

  trial("keeps an edit by hand and says so", async () => {
    await push(config("a"));
    await onMachine(`sed -i 's/retries 5/retries 9/' ${FILE}`);
    const kept = `${FILE}.by-hand-${sha256(config("a").replace("retries 5", "retries 9")).slice(0, 12)}`;
    expect((await push(config("b"))).stdout).toContain(`edited by hand: the edit is kept in ${kept}`);
    expect(await onMachine(`cat ${kept}; rm ${kept}`)).toContain("retries 9");
    await serves("b");
  });
});

describe("the old haproxy.cfg goes on serving", () => {
  beforeEach(async () => {
    expect(await push(config("a"))).toMatchObject({ exitCode: 0 });
  });

  trial(
    "when HAProxy rejects the new one; its alerts and the lines that they mean are shown",
    async (seen) => {
      const before = await worker();
      const { exitCode, stderr } = await pushInVain(
        seen,
        signed(config("b").replace("mode http", "mode httpp")),
      );
      expect(exitCode).toBe(1);
      expect(stderr).toContain(
        `error: HAProxy rejects the new file; nothing was changed, HAProxy worker ${before} serves as before`,
      );
      expect(stderr).toMatch(/ {2}\[ALERT\].* unknown proxy mode 'httpp'/);
      expect(stderr).toMatch(/ {2}line 13: {5}mode httpp/);
      expect(await worker()).toBe(before);
      await serves("a");
      await nextPushServes("b");
    },
  );

  trial("when the new one wants a port that is taken, or an address that is another's", async (seen) => {
    const prometheus = { address: "198.51.100.1", port: 9101 };
    const { exitCode, stderr } = await pushInVain(
      seen,
      signed(config("b", { stats: { prometheus } }).replace("bind *:80", "bind *:22")),
    );
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: `error: HAProxy could not listen on *:22 (Address already in use, by sshd), 198.51.100.1:9101 (Cannot assign requested address); nothing was changed, HAProxy worker ${await worker()} serves as before`,
    });
    await serves("a");
    await nextPushServes("b");
  });

  // Nobody can see that coming: the old worker has to stop listening for the seconds that the new one tries.
  trial("when HAProxy does not come up with the new one, because somebody is quicker", async () => {
    const prometheus = { address: machine.host, port: 9101 };
    const { exitCode, stderr } = await edge.push(standardInput(config("b", { stats: { prometheus } })), {
      reloadCommand: TAKE_9101_AND_RELOAD,
    });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      `error: HAProxy accepts the new file but does not serve with it; the old file is back and worker ${await worker()} serves it`,
    );
    expect(stderr).toMatch(/\[ALERT\].*cannot bind socket.*:9101\]/);
    expect(stderr).toMatch(/ {2}line \d+: {5}bind [0-9.]+:9101/);
    await serves("a");
    await nextPushServes("b");
  });

  trial("when the disk is full while staging", async (seen) => {
    // The files that are there take some of it, `full` all that is left.
    await onMachine(`
      cp -a /etc/haproxy /run/kept; mount -t tmpfs -o size=128k tmpfs /etc/haproxy
      cp -a /run/kept/. /etc/haproxy/; cat /dev/zero >/etc/haproxy/full || true`);
    try {
      const { exitCode, stderr } = await pushInVain(seen, config("b"));
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(
        /^error: cannot stage the new file in \/etc\/haproxy \(0 KiB free\); nothing was changed/m,
      );
      await onMachine("rm /etc/haproxy/full");
      await serves("a");
    } finally {
      await onMachine("umount /etc/haproxy; rm -r /run/kept");
    }
    await nextPushServes("b");
  });

  trial("when the connection is cut while staging", async (seen) => {
    const failures = await duringRequests(seen, async () => {
      const cut = edge.push();
      cut.stdin?.write(standardInput(config("b")).slice(0, -200));
      await until("the staged file", () => exists("/etc/haproxy/.haproxy.cfg.istio-lab-new.*"));
      cut.kill("SIGKILL");
      await cut;
      await finished();
    });
    expect(failures).toEqual([]);
    await serves("a");
    await nextPushServes("b");
  });

  trial("when haproxy.service is masked, and the message says the way out", async (seen) => {
    await onMachine("systemctl mask haproxy 2>&1");
    const { exitCode, stderr } = await pushInVain(seen, config("b"));
    await serves("a");
    await onMachine("systemctl unmask haproxy 2>&1");
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: "error: haproxy.service is masked; nothing was changed. Unmask it: systemctl unmask haproxy",
    });
    await nextPushServes("b");
  });

  trial("when HAProxy is not installed", async (seen) => {
    await onMachine("mv /usr/sbin/haproxy /usr/sbin/haproxy.away");
    const { exitCode, stderr } = await pushInVain(seen, config("b"));
    await onMachine("mv /usr/sbin/haproxy.away /usr/sbin/haproxy");
    expect(exitCode).toBe(1);
    expect(stderr).toContain("error: no haproxy on this machine; install it first");
    await serves("a");
    await nextPushServes("b");
  });

  trial("when the user may not sudo", async (seen) => {
    await onMachine(`mv /etc/sudoers.d/${SSH_USER} /run/sudoers`);
    const { exitCode, stderr } = await pushInVain(seen, config("b"));
    await onMachine(`mv /run/sudoers /etc/sudoers.d/${SSH_USER}`);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`error: ${SSH_USER} may not run sudo without a password on ${machine.host}`);
    await serves("a");
    await nextPushServes("b");
  });

  trial("when the machine has another host key, or does not know the user's: nothing is sent", async () => {
    const key = await readKey();
    const other = { ...machine, hostKey: await otherHostKey() };
    await expect(dial(other, key)).rejects.toThrow(`host key mismatch (${machine.host}:22)`);
    const mine = { ...machine, hostKey: await hostKey(lab) };
    await expect(dial({ ...mine, user: "nobody" }, key)).rejects.toThrow("unable to authenticate as nobody");
    await expect(dial(mine, key)).resolves.toBeUndefined();
    await serves("a");
  });

  trial(
    "when the machine goes off between the check and the push: an error within 30 s",
    async () => {
      // A machine of this lab that is not in use, and whose answers go nowhere.
      const { address: host, netns } = lab.controlPlane;
      await execa("ip", ["-n", netns, "route", "add", "blackhole", `${lab.gateway}/32`]);
      const off = { ...machine, host, hostKey: await hostKey(lab) };
      await expect(dial(off, await readKey())).rejects.toThrow(
        `after 2 failed attempts: dial tcp ${host}:22: i/o timeout`,
      );
    },
    30_000,
  );
});

describe("the new haproxy.cfg serves in the end", () => {
  beforeEach(async () => {
    expect(await push(config("a"))).toMatchObject({ exitCode: 0 });
  });

  trial("when the connection is cut between rename and reload", async (seen) => {
    const failures = await duringRequests(seen, async () => {
      const cut = edge.push(standardInput(config("b")), { reloadCommand: HELD_RELOAD });
      await until("the reload", () => exists("/run/held"));
      await serves("a", { file: "b", files: [".haproxy.cfg.istio-lab-old"] });
      cut.kill("SIGKILL");
      await cut;
      await onMachine("rm /run/held");
      await finished();
    });
    expect(failures).toEqual([]);
    await serves("b");
  });

  trial("when the push dies between rename and reload: the next one finishes", async (seen) => {
    const failures = await duringRequests(seen, async () => {
      const cut = edge.push(standardInput(config("b")), { reloadCommand: HELD_RELOAD });
      await until("the reload", () => exists("/run/held"));
      await onMachine("kill -KILL $(cat /run/held); rm /run/held");
      await cut;
      await serves("a", { file: "b", files: [".haproxy.cfg.istio-lab-old"] });
      await nextPushServes("b");
    });
    expect(failures).toEqual([]);
  });

  trial("when HAProxy was stopped, for the same file and for another one", async () => {
    for (const page of ["a", "b"] as const) {
      await onMachine("systemctl stop haproxy");
      expect(await push(config(page))).toMatchObject({ exitCode: 0 });
      await serves(page);
    }
  });
});

describe("port 443 of the load balancer alone", () => {
  const HOST = "nginx.hung.org.hk";
  const [first, second] = [makeCertificate(HOST), makeCertificate(HOST)];
  const secure = ({ certificate }: typeof first, redirect = false) =>
    config("a", {
      tls: { mode: "terminate", redirect, certificateFile: certificateFile(FILE, certificate) },
    });
  const pushSecure = (made: typeof first, key = made.key, redirect = false) =>
    edge.push(standardInput(secure(made, redirect), made.certificate + key));
  const STAGED = "/etc/haproxy/.haproxy.cfg.istio-lab-new.*";
  const staged = () => onMachine(`cat ${STAGED}`);
  const pems = async () => (await onMachine(`stat -c '%n %U %a' ${FILE}.tls-*`)).split("\n").filter(Boolean);

  /** Asks as a client does that trusts this certificate alone. */
  const getSecurely = async ({ certificate }: typeof first) => {
    const dispatcher = new Agent({ connect: { ca: certificate, servername: HOST } });
    const { statusCode, body } = await request(`https://${machine.host}/`, { dispatcher });
    const answer = { statusCode, body: await body.text() };
    await dispatcher.close();
    return answer;
  };

  test("serves the pushed certificate, whose key root alone can read", async () => {
    expect(await pushSecure(first)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await getSecurely(first)).toEqual({ statusCode: 200, body: "a" });
    await expect(getSecurely(second)).rejects.toThrow();
    expect(await get("/")).toEqual({ statusCode: 200, body: "a" });
    expect(await pems()).toEqual([`${certificateFile(FILE, first.certificate)} root 600`]);
    expect(await onMachine(`grep -c 'PRIVATE KEY' ${FILE}; grep -rlF 'PRIVATE KEY' /tmp /var/log`)).toBe("0");
  });

  trial("keeps the old certificate when the new one's key is another's", async () => {
    await pushSecure(first);
    const { exitCode, stderr } = await pushSecure(second, first.key);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/error: HAProxy rejects the new file; nothing was changed[\s\S]*\[ALERT\]/);
    expect(stderr).not.toContain("PRIVATE KEY");
    expect(await getSecurely(first)).toEqual({ statusCode: 200, body: "a" });
    expect(await pems()).toHaveLength(1);
  });

  trial("changes the certificate, redirects from port 80 if told to, and goes again", async () => {
    await pushSecure(first);
    expect(await pushSecure(second, second.key, true)).toMatchObject({ exitCode: 0 });
    expect(await getSecurely(second)).toEqual({ statusCode: 200, body: "a" });
    expect((await get("/")).statusCode).toBe(308);
    expect(await pems()).toEqual([`${certificateFile(FILE, second.certificate)} root 600`]);
    expect(await push(config("a"))).toMatchObject({ exitCode: 0 });
    expect(await pems()).toEqual([]);
    await serves("a");
  });

  test("says in a dry run what would change, and leaves no key behind", async () => {
    await push(config("a"));
    const input = standardInput(secure(first), first.certificate + first.key);
    const command = commands(machine, OWNER).update.replace(" push.sh ", " push.sh --dry-run ");
    expect((await edge.ssh(command, input)).stdout).toContain("dry run: would replace");
    expect(await onMachine(`ls ${FILE}.tls-* /tmp/tmp.*`)).toBe("");
    await serves("a");
  });

  trial(
    "leaves a push that is killed no key that others can read, and the next one clears it away",
    async () => {
      for (const finish of [() => push(config("a")), () => edge.remove()]) {
        await push(config("a"));
        const killed = edge.push();
        killed.stdin?.write(standardInput(secure(first), first.certificate + first.key).slice(0, -200));
        await until("the staged key", async () => (await staged()).includes("PRIVATE KEY"));
        await onMachine("kill -KILL $(pgrep -f apply[.]sh)");
        killed.stdin?.end();
        await killed;
        expect(await staged()).toContain("PRIVATE KEY");
        expect(await onMachine(`stat -c '%U %a' ${STAGED} | sort -u`)).toBe("root 600");
        expect(await finish()).toMatchObject({ exitCode: 0 });
        expect(await staged()).toBe("");
      }
    },
  );

  test("is gone with the removal", async () => {
    await pushSecure(first);
    expect(await edge.remove()).toMatchObject({ exitCode: 0 });
    expect(await pems()).toEqual([]);
    expect(await onMachine(`cat ${FILE}`)).toBe(original);
  });
});

describe("watching", () => {
  test("the exporter answers, and the stats page does to whoever knows the password", async () => {
    const at = (port: number) => ({ address: machine.host, port });
    const password = "correct-horse-battery";
    const page = { ...at(8404), credential: credential("admin", password) };
    expect(await push(config("a", { stats: { prometheus: at(9101), page } }))).toMatchObject({ exitCode: 0 });
    const ask = async (where: string, headers = {}) => {
      const { statusCode, body } = await request(`http://${machine.host}:${where}`, { headers, reset: true });
      return { statusCode, body: await body.text() };
    };
    const as = (user: string, word: string) => ({ authorization: `Basic ${btoa(`${user}:${word}`)}` });
    expect((await ask("9101/metrics")).body).toContain("haproxy_process_uptime_seconds");
    expect((await ask("9101/")).statusCode).toBe(404);
    expect((await ask("8404/")).statusCode).toBe(401);
    expect((await ask("8404/", as("admin", "another-password"))).statusCode).toBe(401);
    expect((await ask("8404/", as("admin", password))).body).toContain("k8s-istio-ingress-gateway");
    expect(await push(config("a"))).toMatchObject({ exitCode: 0 });
    await expect(ask("8404/")).rejects.toThrow();
  });
});

describe("removal of haproxy.cfg", () => {
  trial("puts back exactly the file from before the first push, and can do so twice", async () => {
    await push(config("a"));
    for (const said of ["restored: ", "nothing to do: "]) {
      const { exitCode, stdout } = await edge.remove();
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringContaining(said) });
      expect(await onMachine(`cat ${FILE}`)).toBe(original);
      expect(await onMachine(`stat -c '%U:%G %a' ${FILE}`)).toBe("root:haproxy 640");
      expect(await ourFiles()).toEqual([]);
      expect(await onMachine("systemctl is-active haproxy")).toBe("active");
    }
  });

  trial("touches nothing when the file is no longer this stack's", async () => {
    await push(config("a"));
    await onMachine(`printf '%s\\n' '# mine' >/run/mine; cp ${FILE} /run/pushed; cp /run/mine ${FILE}`);
    expect((await edge.remove()).stdout).toContain("is not this stack's");
    expect(await onMachine(`cat ${FILE}; cp /run/pushed ${FILE}`)).toBe("# mine");
    await serves("a");
    await edge.remove();
  });

  trial("takes ours away where there was none, and can do so twice", async () => {
    await onMachine(`systemctl stop haproxy; mv ${FILE} /run/original`);
    expect(await push(config("b"))).toMatchObject({ exitCode: 0 });
    await serves("b", { files: ["haproxy.cfg.before-istio-lab-none"] });
    for (const said of ["removed: ", "nothing to do: "]) {
      expect((await edge.remove()).stdout).toContain(said);
      expect(await exists(`${FILE}*`)).toBe(false);
    }
    await onMachine(`mv /run/original ${FILE}; systemctl start haproxy`);
  });
});

// ---- the machine ----

const onMachine = (script: string) => edge.inside(script);

async function exists(pattern: string): Promise<boolean> {
  return (await onMachine(`ls -d ${pattern}`)) !== "";
}

const worker = () => haproxyWorker(edge.lab);

/** Resolves when no push is at work: each holds a lock on the directory. */
async function finished(): Promise<void> {
  await onMachine("flock -w 30 /etc/haproxy true");
}

/** Files of the project beside haproxy.cfg. */
async function ourFiles(): Promise<string[]> {
  return (await onMachine("ls -A /etc/haproxy")).split("\n").filter((name) => name.includes("istio-lab"));
}

/** The page through HAProxy, the file on its disk, its service, and nothing left over. */
async function serves(
  page: Page,
  { file = page, files = [] as string[] }: { file?: Page; files?: string[] } = {},
): Promise<void> {
  const none = files.some((name) => name.endsWith("-none"));
  expect(await get("/echo/test.txt")).toEqual({ statusCode: 200, body: page });
  expect(await onMachine(`cat ${FILE}`)).toBe(config(file).trimEnd());
  expect(await onMachine("systemctl is-active haproxy")).toBe("active");
  expect(await ourFiles()).toEqual([...files, ...(none ? [] : ["haproxy.cfg.before-istio-lab"])]);
}

// ---- pushes ----

/** Listens on port 9101 for some seconds from the moment that HAProxy may be reloaded. */
const TAKE_9101_AND_RELOAD =
  "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalPort => 9101) or exit; sleep 10' & until ss -Hltn | grep -q :9101; do sleep 0.1; done; systemctl reload haproxy";

/** Waits, once HAProxy may be reloaded, until the test lets it go on; tells the pids of the push and of itself. */
const HELD_RELOAD =
  "echo $PPID $$ >/run/held.new; mv /run/held.new /run/held; timeout 10 sh -c 'while [ -e /run/held ]; do sleep 0.1; done'; systemctl reload haproxy";

const push = (text: string) => edge.push(standardInput(text));

/** Connects as HaproxyEdge's command does, and sends nothing. */
async function dial(where: typeof machine, privateKey: string): Promise<void> {
  await runRemotely({
    command: "cat",
    settings: { connection: { ...connectionTo(where, ""), privateKey } } as never,
    previous: { stdout: "", stderr: "" } as never,
    signal: new AbortController().signal,
    onLine: () => undefined,
    onWarning: () => undefined,
  });
}

const readKey = async () => (await execa("cat", [sshKeyFile(lab)])).stdout.concat("\n");

async function otherHostKey(): Promise<string> {
  const { stdout } = await execa("cut", ["-d", " ", "-f", "1,2", `${sshKeyFile(lab)}.pub`]);
  return stdout;
}

interface More extends Pick<LabModelArgs, "tls" | "stats"> {
  /** Of the server behind HAProxy. @default the page's */
  port?: number;
}

function config(page: Page, { port = portOf(page), ...more }: More = {}): string {
  const nodes = [{ name: page, address: lab.gateway }];
  return renderHaproxy(
    labModel({ owner: OWNER, nodes, nodePorts: { http2: port, statusPort: port }, ...more }),
  );
}

/** The text with the hash in its first line made right again. */
function signed(text: string): string {
  const body = text.slice(text.indexOf("\n") + 1);
  return `# istio-lab owner=${OWNER} sha256=${sha256(body)}\n${body}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

// ---- traffic ----

async function serve(page: Page): Promise<Server> {
  const server = createServer((_, response) => response.end(page));
  await new Promise<void>((resolve) => server.listen(0, lab.gateway, resolve));
  return server;
}

function portOf(page: Page): number {
  const server = servers.get(page);
  if (!server) throw new Error(`page ${page} is not served yet`);
  return (server.address() as AddressInfo).port;
}

async function get(path: string): Promise<{ statusCode: number; body: string }> {
  const { statusCode, body } = await request(`http://${machine.host}${path}`, { reset: true });
  return { statusCode, body: await body.text() };
}

/** A push that leaves everything as it was, with requests meanwhile: none fails. */
async function pushInVain(seen: Sightings, text: string) {
  const pushed = { exitCode: 0 as number | undefined, stderr: "" };
  const failures = await duringRequests(seen, async () => {
    const { exitCode, stderr } = await push(text);
    Object.assign(pushed, { exitCode, stderr });
  });
  expect(failures).toEqual([]);
  return pushed;
}

/** The fault is gone: a push puts things right. */
async function nextPushServes(page: Page): Promise<void> {
  expect(await push(config(page))).toMatchObject({ exitCode: 0 });
  await serves(page);
}

/** Asks without a pause for as long as the action takes, over kept connections and over new ones. @returns what failed. */
async function duringRequests(seen: Sightings, action: () => Promise<unknown>): Promise<string[]> {
  const loop = new RequestLoop(`http://${machine.host}/`, { pages: ["a", "b"], kept: 2, fresh: 1 }).start();
  // The loop ends in any case; what became of the action is asked after that.
  const done = action();
  await done.catch(() => undefined);
  const failures = await loop.stop(seen);
  await done;
  return failures;
}

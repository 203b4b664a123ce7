// Every fault of a push that a load-balancer machine can have: the old haproxy.cfg goes on serving.
import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect } from "vitest";
import { type HostKey, parseHostKey } from "../../clients/hostKey.ts";
import { until } from "../../clients/process.ts";
import { connectionTo } from "../../components/haproxyEdge/haproxyEdge.ts";
import { hostKey, SSH_USER, sshKeyFile } from "../../embedded/machines/loadBalancer.ts";
import { runRemotely } from "../../embedded/plugins/command/remote.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";
import { trial } from "../support/e2e/trial.ts";

const site = new EdgeSite("edge-faults");
beforeAll(() => site.start());
afterAll(() => site.stop());

describe("the old haproxy.cfg goes on serving", () => {
  beforeEach(async () => {
    expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0 });
  });

  trial(
    "when HAProxy rejects the new one; its alerts and the lines that they mean are shown",
    async (seen) => {
      const before = await site.worker();
      const { exitCode, stderr } = await site.pushInVain(
        seen,
        site.signed(site.config("b").replace("mode http", "mode httpp")),
      );
      expect(exitCode).toBe(1);
      expect(stderr).toContain(
        `error: HAProxy rejects the new file; nothing was changed, HAProxy worker ${before} serves as before`,
      );
      expect(stderr).toMatch(/ {2}\[ALERT\].* unknown proxy mode 'httpp'/);
      expect(stderr).toMatch(/ {2}line \d+: {5}mode httpp/);
      expect(await site.worker()).toBe(before);
      await site.serves("a");
      await site.nextPushServes("b");
    },
  );

  trial("when the new one wants a port that is taken, or an address that is another's", async (seen) => {
    const prometheus = { address: "198.51.100.1", port: 9101 };
    const { exitCode, stderr } = await site.pushInVain(
      seen,
      site.signed(site.config("b", { stats: { prometheus } }).replace("bind *:80", "bind *:22")),
    );
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr:
        "error: HAProxy could not listen on *:22 (Address already in use, by sshd), 198.51.100.1:9101 " +
        "(Cannot assign requested address); nothing was changed",
    });
    await site.serves("a");
    await site.nextPushServes("b");
  });

  // No check before the reload finds this. The old worker stops listening while the new one tries, for
  // seconds.
  trial("when the new one's port is taken during the reload", async () => {
    const prometheus = { address: site.machine.host, port: 9101 };
    const { exitCode, stderr } = await site.push(site.config("b", { stats: { prometheus } }), {
      reloadCommand: TAKE_9101_AND_RELOAD,
    });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      "error: HAProxy accepts the new file but does not serve with it; the old file is back and worker " +
        `${await site.worker()} serves it`,
    );
    expect(stderr).toMatch(/\[ALERT\].*cannot bind socket.*:9101\]/);
    expect(stderr).toMatch(/ {2}line \d+: {5}bind [0-9.]+:9101/);
    await site.serves("a");
    await site.nextPushServes("b");
  });

  trial("when the disk is full while staging", async (seen) => {
    // The existing files take a part of it, `full` takes the rest.
    await site.inside(`
      cp -a /etc/haproxy /run/kept; mount -t tmpfs -o size=128k tmpfs /etc/haproxy
      cp -a /run/kept/. /etc/haproxy/; cat /dev/zero >/etc/haproxy/full || true`);
    try {
      const { exitCode, stderr } = await site.pushInVain(seen, site.config("b"));
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(
        /^error: cannot stage the new file in \/etc\/haproxy \(0 KiB free\); nothing was changed/m,
      );
      await site.inside("rm /etc/haproxy/full");
      await site.serves("a");
    } finally {
      await site.inside("umount /etc/haproxy; rm -r /run/kept");
    }
    await site.nextPushServes("b");
  });

  trial("when its directory is read-only, or it is a mount of its own: preview knows", async (seen) => {
    const mounts = [
      [`mount --bind /etc/haproxy /etc/haproxy; mount -o remount,ro,bind /etc/haproxy`, "/etc/haproxy"],
      [`cp ${site.file} /run/mounted; mount --bind /run/mounted ${site.file}`, site.file],
    ] as const;
    for (const [mount, where] of mounts) {
      await site.inside(mount);
      const { faults } = await site.look();
      const { exitCode, stderr } = await site.pushInVain(seen, site.config("b"));
      await site.inside(`umount ${where}; rm -f /run/mounted`);
      const said = where === site.file ? "is a mount of its own, " : "is on a read-only file system; ";
      expect(faults).toEqual([expect.stringContaining(`${WHERE}: ${where} ${said}`)]);
      expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining(said) });
      await site.serves("a");
    }
    await site.nextPushServes("b");
  });

  trial("when its unit cannot be reloaded: preview knows", async (seen) => {
    const drop = "/run/systemd/system/haproxy.service.d";
    await site.inside(
      `mkdir -p ${drop}; printf '[Service]\\nExecReload=\\n' >${drop}/x.conf; systemctl daemon-reload`,
    );
    const { faults } = await site.look();
    const { stderr } = await site.pushInVain(seen, site.config("b"));
    await site.inside(`rm -r ${drop}; systemctl daemon-reload`);
    expect(faults).toEqual([
      expect.stringContaining(`${WHERE}: haproxy.service cannot be reloaded; give it`),
    ]);
    expect(stderr).toContain("nothing was changed");
    await site.nextPushServes("b");
  });

  trial("when it does not come up, and there is no room for temporary files", async () => {
    await site.inside("mount -t tmpfs -o ro tmpfs /tmp");
    const { exitCode, stderr } = await site.push(
      site.signed(site.config("b").replace(/bind unix@\S+/, "bind unix@/run/haproxy/none/x.sock")),
    );
    await site.inside("umount /tmp");
    expect(exitCode).toBe(1);
    expect(stderr).toContain("does not serve with it; the old file is back");
    await site.serves("a");
    await site.nextPushServes("b");
  });

  trial("when the connection is cut while staging", async (seen) => {
    const failures = await site.duringRequests(seen, async () => {
      const { command, input } = site.script(site.config("b"));
      const cut = site.ssh(command);
      cut.stdin?.write(input.slice(0, -200));
      await until("the staged file", () => site.exists("/etc/haproxy/.haproxy.cfg.istio-lab-new.*"));
      cut.kill("SIGKILL");
      await cut;
      await site.finished();
    });
    expect(failures).toEqual([]);
    await site.serves("a");
    await site.nextPushServes("b");
  });

  trial("when haproxy.service is masked, and the message says the way out", async (seen) => {
    await site.inside("systemctl mask haproxy 2>&1");
    const { exitCode, stderr } = await site.pushInVain(seen, site.config("b"));
    await site.serves("a");
    await site.inside("systemctl unmask haproxy 2>&1");
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: "error: haproxy.service is masked; unmask it: systemctl unmask haproxy; nothing was changed",
    });
    await site.nextPushServes("b");
  });

  trial("when HAProxy is not installed", async (seen) => {
    await site.inside("mv /usr/sbin/haproxy /usr/sbin/haproxy.away");
    const { exitCode, stderr } = await site.pushInVain(seen, site.config("b"));
    await site.inside("mv /usr/sbin/haproxy.away /usr/sbin/haproxy");
    expect(exitCode).toBe(1);
    expect(stderr).toContain("error: there is no haproxy; install it ");
    await site.serves("a");
    await site.nextPushServes("b");
  });

  trial("when the user may not sudo", async (seen) => {
    await site.inside(`mv /etc/sudoers.d/${SSH_USER} /run/sudoers`);
    const { exitCode, stderr } = await site.pushInVain(seen, site.config("b"));
    await site.inside(`mv /run/sudoers /etc/sudoers.d/${SSH_USER}`);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      `error: ${SSH_USER} may not run sudo without a password on ${site.machine.host}`,
    );
    await site.serves("a");
    await site.nextPushServes("b");
  });

  trial("when the machine has another host key, or does not know the user's: nothing is sent", async () => {
    const key = await readKey();
    const other = { ...site.machine, hostKey: await otherHostKey() };
    await expect(dial(other, key)).rejects.toThrow(`host key mismatch (${site.machine.host}:22)`);
    const mine = { ...site.machine, hostKey: await hostKey(site.lab) };
    await expect(dial({ ...mine, user: "nobody" }, key)).rejects.toThrow("unable to authenticate as nobody");
    await expect(dial(mine, key)).resolves.toBeUndefined();
    await site.serves("a");
  });

  trial(
    "when the machine goes off between the check and the push: an error within 30 s",
    async () => {
      // An unused machine of this lab, whose answers get lost.
      const { address: host, netns } = site.lab.controlPlane;
      await execa("ip", ["-n", netns, "route", "add", "blackhole", `${site.lab.gateway}/32`]);
      const off = { ...site.machine, host, hostKey: await hostKey(site.lab) };
      await expect(dial(off, await readKey())).rejects.toThrow(
        `after 2 failed attempts: dial tcp ${host}:22: i/o timeout`,
      );
    },
    30_000,
  );
});

describe("found before the push, at preview", () => {
  beforeEach(async () => {
    expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0 });
    expect(await site.look()).toEqual({ faults: [], edits: [] });
  });

  trial("another owner's haproxy.cfg", async () => {
    expect((await site.look({ owner: "organization/istio-lab/other" })).faults).toEqual([
      `${WHERE}: ${site.file} belongs to ${site.owner}, not to organization/istio-lab/other; destroy ` +
        "that stack first, or use another load balancer",
    ]);
  });

  trial("a port in use, and by what", async () => {
    expect((await site.look({ listen: ["*:80", "*:22"] })).faults).toEqual([
      `${WHERE}: HAProxy could not listen on *:22 (Address already in use, by sshd)`,
    ]);
  });

  trial("no flock, no haproxy, no haproxy.service, no directory for the socket: all at once", async () => {
    // systemd knows the unit of a running service also without its file.
    await site.inside(`
      systemctl stop haproxy; for file in ${FILES}; do mkdir -p /root/away$(dirname $file); mv $file /root/away$file; done
      mv /run/haproxy /run/haproxy.away; systemctl daemon-reload`);
    const { faults } = await site.look();
    await site.inside(`
      for file in ${FILES}; do mv /root/away$file $file; done
      mv /run/haproxy.away /run/haproxy; systemctl daemon-reload; systemctl start haproxy`);
    expect(faults).toEqual([
      expect.stringContaining(`${WHERE}: there is no haproxy; install it`),
      `${WHERE}: there is no flock; install util-linux`,
      expect.stringContaining(`${WHERE}: systemd has no haproxy.service; install`),
      expect.stringContaining(`${WHERE}: there is no directory /run/haproxy for HAProxy's sockets`),
    ]);
    await site.serves("a");
  });

  trial("a user without sudo", async () => {
    await site.inside(`mv /etc/sudoers.d/${SSH_USER} /run/sudoers`);
    const { faults } = await site.look();
    await site.inside(`mv /run/sudoers /etc/sudoers.d/${SSH_USER}`);
    expect(faults).toEqual([
      `${WHERE}: ${SSH_USER} may not run sudo without a password on ${site.machine.host}: put ` +
        `"${SSH_USER} ALL=(ALL) NOPASSWD: ALL" into /etc/sudoers.d/istio-lab there`,
    ]);
  });

  trial("an edit by hand, which is no fault", async () => {
    await site.inside(`sed -i 's/retries 5/retries 9/' ${site.file}`);
    expect(await site.look()).toEqual({ faults: [], edits: [expect.stringMatching(/^[0-9a-f]{12}$/)] });
    await site.push(site.config("a"));
    await site.inside(`rm ${site.file}.by-hand-*`);
  });
});

/** What a push needs. A script in /etc/init.d counts too, because systemd makes a unit of it. */
const FILES = "/usr/bin/flock /usr/sbin/haproxy /lib/systemd/system/haproxy.service /etc/init.d/haproxy";

const WHERE = `load balancer ${SSH_USER}@${site.machine.host}:22`;

/** Listens on port 9101 for some seconds, from the moment of HAProxy's reload. */
const TAKE_9101_AND_RELOAD =
  "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalPort => 9101) or exit; " +
  "sleep 10' & until ss -Hltn | grep -q :9101; do sleep 0.1; done; systemctl reload haproxy";

/** Connects as HaproxyEdge's command does, and sends nothing. */
async function dial(where: typeof site.machine, privateKey: string): Promise<void> {
  await runRemotely({
    command: "cat",
    settings: { connection: { ...connectionTo(where, ""), privateKey } } as never,
    signal: new AbortController().signal,
    onLine: () => undefined,
  });
}

const readKey = async () => (await execa("cat", [sshKeyFile(site.lab)])).stdout.concat("\n");

async function otherHostKey(): Promise<HostKey | undefined> {
  return parseHostKey(await readFile(`${sshKeyFile(site.lab)}.pub`, "utf8"));
}

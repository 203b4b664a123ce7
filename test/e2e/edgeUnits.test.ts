// HAProxy as distributions and people set it up: SELinux, units of other names, builds of their own,
// containers.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../clients/process.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";
import { configOfSite } from "../support/e2e/otherSite.ts";

const site = new EdgeSite("edge-units");
const MAIN = "/etc/haproxy/haproxy.cfg";
const DIRECTORY = "/etc/haproxy/conf.d";
const OURS = `${DIRECTORY}/zz-istio-lab.cfg`;
const PORTS = { http: 8080, https: 8443 };
/** A port that HAProxy takes from its unit's environment. */
const FROM_ENVIRONMENT = ["$", "{SITE_PORT}"].join("");
let where = "";

beforeAll(async () => {
  await site.start();
  await site.readsOneFile();
  where = `load balancer ${site.machine.user}@${site.machine.host}:22`;
});
afterAll(() => site.stop());

describe("a file of its own", () => {
  beforeAll(() => {
    Object.assign(site.machine, { mode: undefined, configFile: MAIN, ports: undefined });
  });

  test("at another place in CONFIG: named, also while HAProxy still runs with the previous one", async () => {
    const own = "/srv/own/haproxy.cfg";
    await site.inside(`mkdir /srv/own; cp ${MAIN} ${own}; echo 'CONFIG="${own}"' >>/etc/default/haproxy`);
    const said = (when: string) =>
      `${where}: haproxy.service does not read ${MAIN}${when}, but ${own}; set loadBalancer.configFile (or --file) to the file that it reads`;
    expect((await site.look()).faults).toEqual([said(" when it is started again")]);
    site.machine.configFile = own;
    expect((await site.look()).faults).toEqual([
      `${where}: haproxy.service will read ${own} when it is started again; restart it, which closes the connections of its other sites once: systemctl restart haproxy`,
    ]);
    await site.inside("systemctl restart haproxy");
    await pushesAndRestores();
    site.machine.configFile = MAIN;
    expect((await site.look()).faults).toEqual([said("")]);
    await site.inside("sed -i /^CONFIG=/d /etc/default/haproxy; systemctl restart haproxy; rm -r /srv/own");
  });

  test.each([
    [
      "directory",
      "mv /etc/haproxy /srv/real; ln -s /srv/real /etc/haproxy",
      "rm /etc/haproxy; mv /srv/real /etc/haproxy",
    ],
    ["file", `mv ${MAIN} /srv/real.cfg; ln -s /srv/real.cfg ${MAIN}`, `rm ${MAIN}; mv /srv/real.cfg ${MAIN}`],
  ])("behind a symbolic link to the %s: the link stays", async (_, link, back) => {
    await site.inside(link);
    await pushesAndRestores();
    expect(await site.inside("readlink /etc/haproxy /etc/haproxy/haproxy.cfg")).toMatch(/^\/srv\/real/);
    await site.inside(back);
  });

  test("of a unit with several files, and one that does not start at boot: a warning", async () => {
    await site.inside(`
      echo 'global' >/etc/haproxy/first.cfg; mkdir -p /etc/systemd/system/haproxy.service.d
      printf '%s\\n' [Service] ExecStart= 'ExecStart=/usr/sbin/haproxy -Ws -f /etc/haproxy/first.cfg -f ${MAIN} -p /run/haproxy.pid' \\
        >/etc/systemd/system/haproxy.service.d/files.conf
      systemctl disable haproxy; systemctl daemon-reload; systemctl restart haproxy`);
    expect(await site.look()).toEqual({
      faults: [],
      warnings: [`${where}: haproxy.service does not start at boot; enable it: systemctl enable haproxy`],
      edits: [],
    });
    await pushesAndRestores();
    await site.inside(`
      rm -r /etc/systemd/system/haproxy.service.d /etc/haproxy/first.cfg
      systemctl enable haproxy; systemctl daemon-reload; systemctl restart haproxy`);
    expect(await site.look()).toEqual({ faults: [], edits: [] });
  });

  test("of a unit that starts HAProxy as a user without root's rights: named at preview", async () => {
    const drop = "/run/systemd/system/haproxy.service.d";
    await site.inside(`
      mkdir -p ${drop}; printf '[Service]\\nUser=haproxy\\nAmbientCapabilities=CAP_NET_BIND_SERVICE\\n' >${drop}/x.conf
      systemctl daemon-reload`);
    const { faults } = await site.look();
    const { exitCode, stderr } = await site.push(site.config("a"));
    await site.inside(`rm -r ${drop}; systemctl daemon-reload`);
    const said = "haproxy.service starts HAProxy as user haproxy, which cannot enter the chroot";
    expect(faults).toEqual([expect.stringContaining(`${where}: ${said}`)]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining(`error: ${said}`) });
  });

  test("with the ports for clients on IPv6, too: served there, and a taken port is named", async () => {
    expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0 });
    const listen = ["*:80", ":::80"];
    expect((await site.look({ listen })).faults).toEqual([]);
    expect(await site.push(site.config("b", { ipv6: true }))).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await site.inside("curl --silent http://[::1]/ http://127.0.0.1/")).toBe("bb");
    expect((await site.look({ listen })).faults).toEqual([]);
    expect((await site.look({ listen: [":::22"] })).faults).toEqual([
      `${where}: HAProxy could not listen on :::22 (Address already in use, by sshd)`,
    ]);
    expect(await site.restore()).toMatchObject({ exitCode: 0 });
  });

  test("without a chroot directory, or with an address that the machine lacks: named, all at once", async () => {
    await site.inside("mv /var/lib/haproxy /var/lib/away");
    const { faults } = await site.look({ listen: ["*:80", "198.51.100.1:9101"] });
    await site.inside("mv /var/lib/away /var/lib/haproxy");
    expect(faults).toEqual([
      `${where}: there is no directory /var/lib/haproxy, HAProxy's chroot; create it: mkdir /var/lib/haproxy`,
      `${where}: HAProxy could not listen on 198.51.100.1:9101 (Cannot assign requested address)`,
    ]);
  });

  test("of a daemon without a master (Type=forking): pushed and restored, also beside others", async () => {
    const command = "/usr/sbin/haproxy -D -f /srv/old/main.cfg -f /srv/old/conf.d -p /run/old.pid";
    await site.inside(`
      systemctl stop haproxy; mkdir -p /srv/old/conf.d; cp ${MAIN} /srv/old/main.cfg
      printf '%s\\n' [Service] Type=forking PIDFile=/run/old.pid 'ExecStart=${command}' \\
        'ExecReload=${command} -sf $MAINPID' >/etc/systemd/system/haproxy-old.service
      systemctl daemon-reload; systemctl start haproxy-old`);
    Object.assign(site.machine, { unit: "haproxy-old", configFile: "/srv/old/main.cfg" });
    await pushesAndRestores();
    await site.inside(`cat >>/srv/old/main.cfg <<'END'
${configOfSite(site.lab.gateway, site.portOf("a"), 8070)}
END
sed -i '/stats socket/d' /srv/old/main.cfg; systemctl restart haproxy-old`);
    Object.assign(site.machine, { mode: "include", configFile: "/srv/old/conf.d/lab.cfg" });
    await pushesAndRestores();
    // A file that passes its check and cannot be served: HAProxy goes on with the previous one.
    expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0, stderr: "" });
    const broken = site.config("b").replace(/bind unix@\S+/, "bind unix@/run/haproxy/none/x.sock");
    const { exitCode, stderr } = await site.push(site.signed(broken));
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/does not serve with it; the old file is back and worker \d+ serves it/);
    expect([await get(8070), await get(80)]).toEqual(["a", "a"]);
    expect(await site.restore()).toMatchObject({ exitCode: 0, stderr: "" });
    await site.inside(`
      systemctl stop haproxy-old; rm -r /etc/systemd/system/haproxy-old.service /srv/old
      systemctl daemon-reload; systemctl start haproxy`);
    Object.assign(site.machine, { unit: undefined, mode: undefined, configFile: MAIN });
  });
});

describe("a file beside others", () => {
  beforeAll(async () => {
    Object.assign(site.machine, { mode: "include", configFile: OURS, ports: PORTS });
    await site.inside(`
      mkdir ${DIRECTORY}; echo 'EXTRAOPTS="-f ${DIRECTORY}"' >>/etc/default/haproxy; systemctl restart haproxy`);
  });

  test("SELinux that forbids NodePorts: the command that allows them", async () => {
    // Stand-ins of getenforce and getsebool: Debian has no policy for HAProxy.
    await site.inside(`cd /usr/local/sbin
      printf '#!/bin/sh\\necho Enforcing\\n' >getenforce; printf '#!/bin/sh\\necho "$1 --> off"\\n' >getsebool
      chmod +x getenforce getsebool`);
    expect((await site.look()).faults).toEqual([
      `${where}: SELinux forbids HAProxy to connect to NodePorts; allow it: setsebool -P haproxy_connect_any on`,
    ]);
    await site.inside("rm /usr/local/sbin/getenforce /usr/local/sbin/getsebool");
  });

  test("a unit of another name, a build of its own, a directory in CFGDIR: found, checked with its words", async () => {
    await site.inside(`
      mkdir -p /srv/site; printf '%s\\n' 'CFGDIR=/srv/site' 'SITE_PORT=8070' >/etc/default/site
      cp /usr/sbin/haproxy /usr/local/sbin/haproxy-site
      cat >/srv/site/main.cfg <<'END'
${configOfSite(site.lab.gateway, site.portOf("a"), FROM_ENVIRONMENT)}
END
      cat >/etc/systemd/system/haproxy@.service <<'END'
[Service]
EnvironmentFile=-/etc/default/%i
ExecStart=/usr/local/sbin/haproxy-site -Ws -f $CFGDIR -p /run/haproxy-%i.pid
ExecReload=/bin/kill -USR2 $MAINPID
Type=notify
END
      systemctl daemon-reload; systemctl start haproxy@site`);
    await answers(8070, "a");
    expect((await site.look()).faults).toEqual([]);
    Object.assign(site.machine, { unit: "haproxy@site" });
    expect((await site.look()).faults).toEqual([
      `${where}: haproxy@site.service does not read ${DIRECTORY}; set loadBalancer.configFile (or --file) to /srv/site/zz-istio-lab.cfg`,
    ]);
    site.machine.configFile = "/srv/site/zz-istio-lab.cfg";
    expect(await site.look()).toEqual({ faults: [], edits: [] });
    expect((await site.look({ listen: ["*:8070"] })).faults).toEqual([
      `${where}: haproxy@site.service listens on the port of *:8070 already, by another file; set loadBalancer.httpPort and loadBalancer.httpsPort to other ports`,
    ]);
    expect(await site.push(site.config("b"))).toMatchObject({ exitCode: 0, stderr: "" });
    expect([await get(8070), await get(PORTS.http)]).toEqual(["a", "b"]);
    expect(await site.restore()).toMatchObject({ exitCode: 0 });
    // Without haproxy.service, the instance is named.
    Object.assign(site.machine, { unit: "haproxy-gone" });
    expect((await site.look()).faults[0]).toContain(
      "systemd has no haproxy-gone.service; set loadBalancer.unit (or --unit) to haproxy or haproxy@site, install",
    );
    Object.assign(site.machine, { unit: "haproxy", configFile: OURS });
    await site.inside(
      "systemctl stop haproxy@site; rm /etc/systemd/system/haproxy@.service; systemctl daemon-reload",
    );
  });

  test("a directory without other files: HAProxy starts with the push, and stops with the restore", async () => {
    await site.inside(`
      mkdir -p /srv/only; cat >/etc/systemd/system/haproxy-only.service <<'END'
[Service]
ExecStart=/usr/sbin/haproxy -Ws -f /srv/only -p /run/only.pid
ExecReload=/bin/kill -USR2 $MAINPID
Type=notify
END
      systemctl daemon-reload`);
    Object.assign(site.machine, { unit: "haproxy-only", configFile: "/srv/only/lab.cfg" });
    expect((await site.look()).faults).toEqual([]);
    const bad = await site.push(site.signed(site.config("a").replace("mode http", "mode httpp")));
    expect(bad.stderr).toMatch(
      /^error: HAProxy rejects the new file; nothing was changed[\s\S]*mode httpp$/m,
    );
    for (const page of ["a", "b"] as const) {
      expect(await site.push(site.config(page))).toMatchObject({ exitCode: 0, stderr: "" });
      expect(await get(PORTS.http)).toBe(page);
    }
    expect(await site.restore()).toMatchObject({
      exitCode: 0,
      stdout: "removed: /srv/only/lab.cfg; HAProxy is stopped, because its other files listen nowhere",
    });
    expect(await site.inside("ls -A /srv/only; systemctl is-active haproxy-only")).toBe("inactive");
    await site.inside("rm -r /srv/only /etc/systemd/system/haproxy-only.service; systemctl daemon-reload");
    Object.assign(site.machine, { unit: "haproxy", configFile: OURS });
  });

  test("a second HAProxy on its port: named at preview and by a push, though it would start", async () => {
    await site.inside(`
      printf '%s\\n' 'defaults' ' mode http' ' timeout client 9s' ' timeout connect 9s' ' timeout server 9s' \\
        'frontend twin' ' bind :${PORTS.http}' ' http-request deny' >/srv/twin.cfg
      printf '%s\\n' [Service] Type=notify 'ExecStart=/usr/sbin/haproxy -Ws -f /srv/twin.cfg' >/etc/systemd/system/haproxy-twin.service
      systemctl daemon-reload; systemctl start haproxy-twin`);
    const twin =
      /HAProxy with process id \d+, of haproxy-twin\.service, listens on \*:8080 too, and gets a part of/;
    expect((await site.look()).faults).toEqual([expect.stringMatching(twin)]);
    expect(await site.push(site.config("a"))).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(twin),
    });
    await site.inside(
      "systemctl stop haproxy-twin; rm /srv/twin.cfg /etc/systemd/system/haproxy-twin.service; systemctl daemon-reload",
    );
    expect(await site.look()).toEqual({ faults: [], edits: [] });
  });

  test("a unit that runs a container engine: the settings that it needs", async () => {
    await site.inside(`
      printf '[Service]\\nExecStart=/usr/bin/podman run --net=host haproxy\\n' >/etc/systemd/system/haproxy-box.service
      systemctl daemon-reload`);
    Object.assign(site.machine, { unit: "haproxy-box", mode: undefined });
    expect((await site.look()).faults).toContain(
      `${where}: haproxy-box.service runs /usr/bin/podman, not HAProxy itself; set loadBalancer.configFile to the file that HAProxy gets, and loadBalancer.reloadCommand to a command that reloads it`,
    );
    Object.assign(site.machine, { unit: "haproxy", mode: "include" });
    await site.inside("rm /etc/systemd/system/haproxy-box.service; systemctl daemon-reload");
  });
});

/** A push serves at once and the next one does too; a restore brings back the machine's own files. */
async function pushesAndRestores(): Promise<void> {
  const files = () => site.inside("find -L /etc/haproxy /srv -type f -exec sha256sum {} + | sort");
  const before = await files();
  const port = site.machine.ports?.http ?? 80;
  for (const page of ["a", "b"] as const) {
    expect(await site.push(site.config(page))).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await get(port)).toBe(page);
  }
  expect(await site.restore()).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await files()).toBe(before);
}

/** The page at this port. */
async function get(port: number): Promise<string> {
  return (await site.get("/", port)).body;
}

/** Resolves when the page is there. */
async function answers(port: number, page: string): Promise<void> {
  await until(`page ${page} at port ${port}`, async () => (await get(port).catch(() => "")) === page);
}

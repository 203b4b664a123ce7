// HAProxy as distributions and people set it up: SELinux, units of other names, builds of their own,
// containers.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../clients/process.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";
import { configOfSite } from "../support/e2e/otherSite.ts";

const site = new EdgeSite("edge-units");
const DIRECTORY = "/etc/haproxy/conf.d";
const OURS = `${DIRECTORY}/zz-istio-lab.cfg`;
const PORTS = { http: 8080, https: 8443 };
/** A port that HAProxy takes from its unit's environment. */
const FROM_ENVIRONMENT = ["$", "{SITE_PORT}"].join("");
let where = "";

beforeAll(async () => {
  await site.start();
  where = `load balancer ${site.machine.user}@${site.machine.host}:22`;
  Object.assign(site.machine, { mode: "include", configFile: OURS, ports: PORTS });
  await site.inside(`
    mkdir ${DIRECTORY}; echo 'EXTRAOPTS="-f ${DIRECTORY}"' >>/etc/default/haproxy; systemctl restart haproxy`);
});
afterAll(() => site.stop());

describe("HAProxy as distributions and people set it up", () => {
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

/** The page at this port. */
async function get(port: number): Promise<string> {
  return (await site.get("/", port)).body;
}

/** Resolves when the page is there. */
async function answers(port: number, page: string): Promise<void> {
  await until(`page ${page} at port ${port}`, async () => (await get(port).catch(() => "")) === page);
}

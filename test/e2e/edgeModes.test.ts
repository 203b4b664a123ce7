// A load balancer that serves another site: refused, replaced with consent, or shared; by SSH and on the
// machine.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../clients/process.ts";
import { haproxyDrift } from "../../embedded/lab/haproxyDrift.ts";
import { readFirstLine } from "../../haproxy/firstLine.ts";
import { certificateFile } from "../../haproxy/push.ts";
import { makeCertificate } from "../support/certificates.ts";
import { EdgeSite } from "../support/e2e/edgeSite.ts";
import { configOfSite } from "../support/e2e/otherSite.ts";
import { type Sightings, trial } from "../support/e2e/trial.ts";

const site = new EdgeSite("edge-modes");
const MAIN = "/etc/haproxy/haproxy.cfg";
const DIRECTORY = "/etc/haproxy/conf.d";
const OURS = `${DIRECTORY}/zz-istio-lab.cfg`;
const PORTS = { http: 8080, https: 8443 };
/** The other site has port 80. */
const BOTH = [80, PORTS.http];
let where = "";

beforeAll(async () => {
  await site.start();
  await site.readsOneFile();
  where = `load balancer ${site.machine.user}@${site.machine.host}:22`;
  // Debian's file with another site, some of whose names this project's own file uses too.
  await site.inside(`cat >>${MAIN} <<'END'
${configOfSite(site.lab.gateway, site.portOf("a"), 80)}
END
systemctl reload haproxy`);
  await answers(80, "a");
});
afterAll(() => site.stop());

describe("a file that serves another site", () => {
  trial("is refused at preview and by a push, and its listener named", async (seen) => {
    const refused = `${MAIN} serves other clients already: frontend http (*:80); a push would replace the whole file. Set loadBalancer.mode (or --mode) to include to live beside them, or to file to replace the file (a destroy puts it back), or use another load balancer`;
    expect((await site.look()).faults).toEqual([`${where}: ${refused}`]);
    const { exitCode, stderr } = await site.pushInVain(seen, site.config("b"));
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: `error: ${refused}; nothing was changed` });
  });

  trial("is replaced with mode file, and put back, byte for byte; no request is lost", async (seen) => {
    const others = await checksums();
    Object.assign(site.machine, { mode: "file" });
    expect(await site.look()).toEqual({ faults: [], edits: [] });
    const failures = await site.duringRequests(seen, async () => {
      expect(await site.push(site.config("b"))).toMatchObject({ exitCode: 0, stderr: "" });
      expect(await get(80)).toBe("b");
      expect(await site.restore()).toMatchObject({ exitCode: 0, stderr: "" });
    });
    expect(failures).toEqual([]);
    await answers(80, "a");
    expect(await checksums()).toBe(others);
  });
});

describe("a file beside another site's", () => {
  beforeAll(() => {
    Object.assign(site.machine, { mode: "include", configFile: OURS, ports: PORTS });
  });

  test("needs a directory that HAProxy reads: preview has the commands, which are enough", async () => {
    const [fault = "", ...more] = (await site.look()).faults;
    expect(more).toEqual([]);
    const [, said, commands = ""] = /^(.* once): (.*)$/.exec(fault) ?? [];
    expect(said).toBe(
      `${where}: haproxy.service reads no directory, but ${MAIN}; let it read ${DIRECTORY} too, with a restart that closes the connections of its other sites once`,
    );
    expect(commands).toBe(
      `mkdir -p ${DIRECTORY} && echo 'EXTRAOPTS="-S /run/haproxy-master.sock -f ${DIRECTORY}"' >>/etc/default/haproxy && systemctl restart haproxy`,
    );
    const [before = "", restart = ""] = commands.split(" && systemctl");
    await site.inside(before);
    expect((await site.look()).faults).toEqual([
      `${where}: haproxy.service will read ${DIRECTORY} when it is started again; restart it, which closes the connections of its other sites once: systemctl restart haproxy`,
    ]);
    await site.inside(`systemctl ${restart}`);
    await answers(80, "a");
    expect(await site.look()).toEqual({ faults: [], edits: [] });
  });

  for (const way of ["over SSH", "on the machine itself"] as const)
    trial(`is pushed, changed and removed ${way}: neither site loses a request`, async (seen) => {
      Object.assign(site.machine, { local: way !== "over SSH" });
      const others = await checksums();
      await losesNone(seen, [80], async () => {
        expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0, stderr: "" });
      });
      expect(await get(PORTS.http)).toBe("a");
      await losesNone(seen, BOTH, async () => {
        for (const config of [site.config("b"), site.config("b", { servers: 2 }), site.config("a")]) {
          const { exitCode, stdout, stderr } = await site.push(config);
          expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
          expect(stdout).toMatch(/^pushed: \S+, HAProxy worker \d+ serves it$/m);
        }
        const again = await site.push(site.config("a"));
        expect(again.stdout).toBe(`unchanged: ${OURS}, no reload`);
        expect(await site.look()).toEqual({ faults: [], edits: [] });
      });
      expect(await checksums()).toBe(others);
      await losesNone(seen, [80], async () => {
        expect(await site.restore()).toMatchObject({
          exitCode: 0,
          stdout: `removed: ${OURS}; HAProxy goes on with its other files`,
          stderr: "",
        });
      });
      expect(await checksums()).toBe(others);
      expect(await site.inside(`ls -A ${DIRECTORY} /run/haproxy`)).toBe(
        `${DIRECTORY}:\n\n/run/haproxy:\nadmin.sock`,
      );
      await until("its end", async () => (await get(PORTS.http).catch(() => "gone")) === "gone");
      expect((await site.restore()).stdout).toBe(`nothing to do: there is no ${OURS}`);
      Object.assign(site.machine, { local: false });
    });

  test("on the machine itself says what a user without sudo lacks", async () => {
    Object.assign(site.machine, { local: true });
    await site.inside("mv /etc/sudoers.d/lab /run/sudoers");
    const said =
      'lab may not run sudo without a password on this machine: put "lab ALL=(ALL) NOPASSWD: ALL" into /etc/sudoers.d/istio-lab, or run pulumi as root';
    expect((await site.look()).faults).toEqual([`load balancer on this machine: ${said}`]);
    expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 1, stderr: `error: ${said}` });
    await site.inside("mv /run/sudoers /etc/sudoers.d/lab");
    Object.assign(site.machine, { local: false });
  });

  test("has TLS, a redirect and metrics on ports of its own, and its key goes with it", async () => {
    const made = makeCertificate("nginx.hung.org.hk");
    const tls = {
      ...{ mode: "terminate" as const, redirect: true },
      certificateFile: certificateFile(OURS, made.certificate),
    };
    const stats = { prometheus: { address: "127.0.0.1", port: 9101 } };
    const pushed = await site.push(site.config("b", { tls, stats }), { pem: made.certificate + made.key });
    expect(pushed).toMatchObject({ exitCode: 0, stderr: "" });
    const curl = "curl --silent --connect-to ::127.0.0.1: --cacert /run/ca.pem --location";
    await site.inside(`cat >/run/ca.pem <<'END'\n${made.certificate}\nEND`);
    expect(await site.inside(`${curl} http://nginx.hung.org.hk:${PORTS.http}/`)).toBe("b");
    const metrics = await site.inside("curl --silent http://127.0.0.1:9101/metrics");
    expect(metrics).toContain('haproxy_frontend_status{proxy="istio-lab-edge-modes-https"');
    expect(await site.look()).toEqual({ faults: [], edits: [] });
    expect(await site.restore()).toMatchObject({ exitCode: 0 });
    expect(await site.inside(`ls -A ${DIRECTORY}; rm /run/ca.pem`)).toBe("");
  });

  describe("once it is pushed", () => {
    beforeEach(async () => {
      expect(await site.push(site.config("a"))).toMatchObject({ exitCode: 0, stderr: "" });
    });

    trial("goes on serving when HAProxy rejects a new one, or the others' files", async (seen) => {
      await losesNone(seen, BOTH, async () => {
        const bad = await site.push(site.signed(site.config("b").replace("mode http", "mode httpp")));
        expect(bad).toMatchObject({ exitCode: 1 });
        expect(bad.stderr).toMatch(
          /^error: HAProxy rejects the new file; nothing was changed, HAProxy worker \d+ serves/,
        );
        expect(bad.stderr).toMatch(/ {2}line \d+: {5}mode httpp$/m);
        await site.inside(`echo 'nonsense' >${DIRECTORY}/50-broken.cfg`);
        const theirs = await site.push(site.config("b"));
        await site.inside(`rm ${DIRECTORY}/50-broken.cfg`);
        expect(theirs.stderr).toMatch(
          /^error: HAProxy rejects the files that are there already, without the new one; nothing was changed/,
        );
        expect(theirs.stderr).toContain(`${DIRECTORY}/50-broken.cfg, line 1: nonsense`);
      });
      expect(await get(PORTS.http)).toBe("a");
    });

    trial("goes on serving when HAProxy does not come up with a new one", async (seen) => {
      await losesNone(seen, [80], async () => {
        // The file passes its check, but the socket cannot be bound, because its path is a directory.
        const { exitCode, stderr } = await site.push(
          site.signed(site.config("b").replace(/bind unix@\S+/, "bind unix@/run/haproxy/none/x.sock")),
        );
        expect(exitCode).toBe(1);
        expect(stderr).toMatch(/does not serve with it; the old file is back and worker \d+ serves it/);
      });
      expect(await get(PORTS.http)).toBe("a");
      expect(await site.look()).toEqual({ faults: [], edits: [] });
    });

    test("names a second listener on its port, at preview and at a push", async () => {
      await site.inside(
        `printf '%s\\n' 'frontend twin' '  bind :8000-8090' '  http-request deny' >${DIRECTORY}/twin.cfg`,
      );
      const said = `haproxy.service reads other files that listen on the same ports: ${DIRECTORY}/twin.cfg: frontend twin (:8000-8090); remove that there, or set loadBalancer.httpPort and loadBalancer.httpsPort to other ports`;
      expect((await site.look()).faults).toEqual([`${where}: ${said}`]);
      expect((await site.push(site.config("b"))).stderr).toBe(`error: ${said}; nothing was changed`);
      // As `./lab status` has it.
      const pushed = { configFile: OURS, configHash: readFirstLine(site.config("a"))?.hash ?? "" };
      expect(await haproxyDrift(site.lab, pushed)).toBe(`as pushed, but ${said}`);
      await site.inside(`rm ${DIRECTORY}/twin.cfg`);
      expect(await haproxyDrift(site.lab, pushed)).toBe("as pushed");
    });

    test("names sections that would take its defaults, and a file that is not its own", async () => {
      await site.inside(`printf '%s\\n' 'backend heir' '  server x 127.0.0.1:9' >${DIRECTORY}/zzz.cfg`);
      expect((await site.look()).faults).toEqual([
        `${where}: ${OURS} is read before sections that have no defaults of their own, and would take those of this file: ${DIRECTORY}/zzz.cfg: backend heir; set loadBalancer.configFile (or --file) to a name that comes later in the alphabet`,
      ]);
      site.machine.configFile = `${DIRECTORY}/zzz.cfg`;
      expect((await site.look()).faults).toEqual(
        expect.arrayContaining([
          `${where}: ${DIRECTORY}/zzz.cfg is not this project's; set loadBalancer.configFile (or --file) to a file that is not there yet`,
        ]),
      );
      site.machine.configFile = OURS;
      await site.inside(`rm ${DIRECTORY}/zzz.cfg`);
    });

    test("is not removed while another file needs it", async () => {
      const backend = "edge-modes-k8s-istio-ingress-gateway";
      await site.inside(
        `printf '%s\\n' 'frontend user' '  bind :8090' '  default_backend istio-lab-${backend}' >${DIRECTORY}/user.cfg`,
      );
      const { exitCode, stderr } = await site.restore();
      expect(exitCode).toBe(1);
      expect(stderr).toContain(
        `HAProxy refuses its other files without ${OURS}; change them first. Nothing was changed`,
      );
      await site.inside(`rm ${DIRECTORY}/user.cfg`);
      expect(await site.restore()).toMatchObject({ exitCode: 0 });
    });
  });
});

/** Of every file of the others. */
const checksums = () =>
  site.inside(
    `find /etc/haproxy /etc/default/haproxy -type f ! -name '*istio-lab*' -exec sha256sum {} + | sort`,
  );

/** The page at this port. */
async function get(port: number): Promise<string> {
  return (await site.get("/", port)).body;
}

/** Resolves when the page is there. */
async function answers(port: number, page: string): Promise<void> {
  await until(`page ${page} at port ${port}`, async () => (await get(port).catch(() => "")) === page);
}

async function losesNone(
  seen: Sightings,
  ports: readonly number[],
  action: () => Promise<unknown>,
): Promise<void> {
  expect(await site.duringRequests(seen, action, ports)).toEqual([]);
}

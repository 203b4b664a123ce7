/** Tests of components/haproxyEdge/preflight.ts. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openSession } from "../../../../components/haproxyEdge/machine.ts";
import { checkLoadBalancer, type LoadBalancerAccess } from "../../../../components/haproxyEdge/preflight.ts";
import { REPORT_BEGINS, REPORT_ENDS } from "../../../../haproxy/push.ts";
import { hostKeyOf, keyPair, SshServer } from "../../../support/sshServer.ts";

// Against an SSH server on loopback; test/e2e/edge.test.ts does the same with a real sshd, sudo and HAProxy.
const otherKey = keyPair();

const closing: (() => unknown)[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const close of closing.splice(0)) close();
});

const report = (...lines: string[]) => [REPORT_BEGINS, ...lines, `${REPORT_ENDS} 0`, ""].join("\n");

/** A load balancer whose script prints this. */
async function machine(printed = report(), { status = 0, stderr = "" } = {}) {
  const server = await SshServer.start((channel) => {
    channel.write(printed);
    channel.stderr.write(stderr);
    channel.exit(status);
    channel.end();
  });
  closing.push(() => server.stop());
  const access: LoadBalancerAccess = {
    ...server.target,
    configFile: "/etc/haproxy/haproxy.cfg",
    owner: "organization/istio-lab/dev",
    listen: ["*:80"],
  };
  return { server, access };
}

async function check(access: LoadBalancerAccess, signal = AbortSignal.timeout(20_000)) {
  vi.stubEnv("SSH_AUTH_SOCK", process.env.TEST_AGENT);
  const session = openSession(access);
  closing.push(() => session.close());
  return await checkLoadBalancer(access, signal, session.run);
}

describe("a load balancer that is ready", () => {
  it("has no faults; its edits by hand are listed", async () => {
    const { access } = await machine(report("version 2.6.12", "edit gone", "edit 00000000000a"));
    expect(await check(access)).toEqual({ faults: [], edits: ["00000000000a", "gone"] });
  });

  it("may have warnings, which name it too", async () => {
    const { access } = await machine(report("warning haproxy.service is not started at boot"));
    expect(await check(access)).toEqual({
      faults: [],
      warnings: [`load balancer debian@127.0.0.1:${access.port}: haproxy.service is not started at boot`],
      edits: [],
    });
  });

  it("accepts a key in a form that only the plugin can read: the push shows whether it is right", async () => {
    const { access } = await machine();
    expect(await check({ ...access, privateKey: "-----BEGIN PRIVATE KEY-----\n" })).toEqual({
      faults: [],
      edits: [],
    });
  });
});

describe("a push that would fail", () => {
  it("names the load balancer before each fault that push.sh reports", async () => {
    const { access } = await machine(
      report("fault there is no haproxy; install it", "fault there is no flock"),
    );
    expect((await check(access)).faults).toEqual([
      `load balancer debian@127.0.0.1:${access.port}: there is no haproxy; install it`,
      `load balancer debian@127.0.0.1:${access.port}: there is no flock`,
    ]);
  });

  it.each([
    ["This account is currently not available.\n", 1, "", 'with status 1: it printed "This account is'],
    [`${REPORT_BEGINS}\n`, 0, "", "with status 0: its report ends early; does debian"],
    ["", 127, "sh: not found\n", 'with status 127: it printed "" in place of a report (sh: not found); does'],
    [`${REPORT_BEGINS}\n${REPORT_ENDS} 2\n`, 0, "", "its report ended with status 2"],
    [report("nonsense"), 0, "", 'its report has the line "nonsense"'],
  ])("is a fault, never silence, when the look fails: %j", async (printed, status, stderr, message) => {
    const { access } = await machine(printed, { status, stderr });
    expect((await check(access)).faults).toEqual([expect.stringContaining(message)]);
  });

  it("names user, host and port of a machine that is off, and the way out", async () => {
    const { server, access } = await machine();
    server.stop();
    expect((await check(access)).faults).toEqual([
      `load balancer debian@127.0.0.1:${access.port} does not answer: connect ECONNREFUSED ` +
        `127.0.0.1:${access.port}; is the machine up, and do loadBalancer.host and loadBalancer.port ` +
        "lead to its sshd?",
    ]);
    expect((await check(access, AbortSignal.abort())).faults).toEqual([
      expect.stringContaining("does not answer: no answer in time; is the machine up"),
    ]);
  });

  it.each(["end", "resetAndDestroy"] as const)(
    "names an sshd that closes each connection: %s",
    async (how) => {
      const { access } = await machine();
      const closes = createServer((socket) => socket.on("error", () => undefined)[how]());
      await once(closes.listen(0, "127.0.0.1"), "listening");
      closing.push(() => closes.close());
      const { port } = closes.address() as AddressInfo;
      expect((await check({ ...access, port })).faults).toEqual([
        expect.stringMatching(
          / closes the connection before a log-on \(.*PerSourcePenalties\): wait a minute\. /,
        ),
      ]);
    },
  );

  it("shows the host key of another machine, and sends it nothing", async () => {
    const { server, access } = await machine();
    expect((await check({ ...access, hostKey: hostKeyOf(otherKey.public) })).faults).toEqual([
      expect.stringMatching(
        /^load balancer debian@\S+ shows the host key SHA256:\S{43}, and loadBalancer\.hostKey is SHA256:\S{43}: nothing was sent to it\. .*set loadBalancer\.hostKey$/,
      ),
    ]);
    expect(server.logOns).toEqual([]);
  });

  it("shows the public key that the machine does not accept, and not the private one", async () => {
    const { access } = await machine();
    const [fault = ""] = (await check({ ...access, privateKey: otherKey.private })).faults;
    expect(fault).toMatch(
      /^load balancer debian@\S+ does not accept loadBalancerPrivateKey: add its public key to ~\/\.ssh\/authorized_keys of debian there: /,
    );
    expect(fault).toContain(otherKey.public);
    expect(fault).not.toContain(otherKey.private.split("\n")[1]);
  });

  it("says to unset SSH_AUTH_SOCK when the agent is dead, as the plugin would fail on it", async () => {
    const { access } = await machine();
    vi.stubEnv("TEST_AGENT", "/nonexistent/agent.sock");
    expect((await check(access)).faults).toEqual([
      expect.stringMatching(/SSH_AUTH_SOCK is \/nonexistent\/agent\.sock, .*: unset SSH_AUTH_SOCK/),
    ]);
  });
});

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import ssh2, { type Server } from "ssh2";
import { afterEach, describe, expect, it, vi } from "vitest";
import { askLoadBalancer, type LoadBalancerAccess } from "../../../../components/haproxyEdge/preflight.ts";

// What is asked of the load balancer before anything is touched: against an SSH server on loopback. The real sshd, sudo and
// HAProxy are asked by test/e2e/load.test.ts.
const [hostKey, userKey, otherKey] = [keyPair(), keyPair(), keyPair()];

const closing: (() => unknown)[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const close of closing.splice(0)) close();
});

describe("a load balancer that is ready", () => {
  it("has no faults", async () => {
    expect(await faults(await machine())).toEqual([]);
  });

  it("may want a key of a form that only the plugin reads: that is for the push to say", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const pkcs8 = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    expect(await faults({ ...(await machine()), privateKey: pkcs8 })).toEqual([]);
  });
});

describe("edits by hand", () => {
  it("are told, each once, and nothing that could become part of a command", async () => {
    const says =
      "edit 00000000000b\nedit 00000000000a\nedit 00000000000a\nedit gone\nedit $(reboot)\nedit a; b\n";
    const { edits } = await askLoadBalancer(await machine({ says }), AbortSignal.timeout(20_000));
    expect(edits).toEqual(["00000000000a", "00000000000b", "gone"]);
  });
});

describe("a push that would fail", () => {
  it("names user, host and port of a machine that is off, and the way out", async () => {
    const access = await machine();
    for (const close of closing.splice(0)) close();
    expect(await faults(access)).toEqual([
      `load balancer debian@127.0.0.1:${access.port} does not answer: connect ECONNREFUSED 127.0.0.1:${access.port}; is the machine up, and do loadBalancer.host and loadBalancer.port lead to its sshd?`,
    ]);
  });

  it("does so when nothing comes back, too", async () => {
    const mute = createServer().listen(0, "127.0.0.1");
    await once(mute, "listening");
    closing.push(() => mute.close());
    const { port } = mute.address() as AddressInfo;
    const access = { ...(await machine()), port };
    expect((await askLoadBalancer(access, AbortSignal.timeout(200))).faults).toEqual([
      expect.stringContaining(
        `load balancer debian@127.0.0.1:${port} does not answer: no answer in time; is`,
      ),
    ]);
  });

  it("shows the host key of another machine, which has not heard of the user", async () => {
    const names: string[] = [];
    const access = { ...(await machine({ names })), hostKey: otherKey.public };
    expect(await faults(access)).toEqual([
      expect.stringMatching(
        /^load balancer debian@\S+ shows the host key SHA256:\S{43}, and loadBalancer\.hostKey is SHA256:\S{43}: nothing was sent to it\. .*set loadBalancer\.hostKey$/,
      ),
    ]);
    expect(names).toEqual([]);
  });

  it("shows the public key that the machine does not accept, and not the private one", async () => {
    const [fault = ""] = await faults({ ...(await machine()), privateKey: otherKey.private });
    expect(fault).toMatch(
      /^load balancer debian@\S+ does not accept loadBalancerPrivateKey: add its public key to ~\/\.ssh\/authorized_keys of debian there: /,
    );
    expect(fault).toContain(otherKey.public);
    expect(fault).not.toContain(otherKey.private.split("\n")[1]);
  });

  it("names what is missing there, all of it", async () => {
    expect(await faults(await machine({ says: "sudo\nhaproxy\n" }))).toEqual([
      expect.stringMatching(
        /^load balancer debian@\S+: debian may not run sudo .*sudoers\.d\/istio-lab there$/,
      ),
      expect.stringMatching(/^load balancer debian@\S+ has no haproxy; install it first/),
    ]);
  });
});

async function faults(access: LoadBalancerAccess): Promise<readonly string[]> {
  vi.stubEnv("SSH_AUTH_SOCK", undefined);
  return (await askLoadBalancer(access, AbortSignal.timeout(20_000))).faults;
}

/** An SSH server that lets one key in and answers every command alike; `names` are of those who asked to be let in. */
async function machine({ says = "", names = [] as string[] } = {}): Promise<LoadBalancerAccess> {
  const server: Server = new ssh2.Server({ hostKeys: [hostKey.private] }, (client) => {
    client.on("error", () => undefined);
    client.on("authentication", (attempt) => {
      names.push(attempt.username);
      const shown = attempt.method === "publickey" ? attempt.key.data.toString("base64") : "";
      shown !== "" && userKey.public.includes(shown) ? attempt.accept() : attempt.reject(["publickey"]);
    });
    client.on("session", (accept) =>
      accept().on("exec", (accepted) => {
        const channel = accepted();
        channel.write(says);
        channel.exit(0);
        channel.end();
      }),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  return {
    host: "127.0.0.1",
    port,
    user: "debian",
    hostKey: hostKey.public,
    privateKey: userKey.private,
    configFile: "/etc/haproxy/haproxy.cfg",
  };
}

function keyPair(): { private: string; public: string } {
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = pair.privateKey.export({ type: "pkcs1", format: "pem" }).toString();
  const parsed = ssh2.utils.parseKey(pem);
  if (parsed instanceof Error) throw parsed;
  return { private: pem, public: `ssh-rsa ${parsed.getPublicSSH().toString("base64")}` };
}

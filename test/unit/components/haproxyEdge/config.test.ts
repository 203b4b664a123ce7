/** Settings of the load balancer and its nodes. */
import { describe, expect, it } from "vitest";
import { siteUrl } from "../../../../components/haproxyEdge/config.ts";
import { HOST_KEY, LEAST, PRIVATE_KEY } from "../../../support/mocks.ts";
import { faultsOf, settings } from "../../../support/settings.ts";

const MACHINE = LEAST.loadBalancer;
const WANT_HOST_KEY =
  "give the machine's public host key as `ssh-keyscan HOST` prints it, and compare it with the machine's own /etc/ssh/ssh_host_ed25519_key.pub";
const WANT_KEY =
  "give an SSH private key: pulumi config set --secret loadBalancerPrivateKey < ~/.ssh/id_ed25519";

describe("the load balancer", () => {
  it.each<[string, Record<string, unknown>, string[]]>([
    [
      "no load balancer",
      { loadBalancer: undefined },
      [
        "loadBalancer.host is missing: give the address or DNS name of the machine with HAProxy",
        "loadBalancer.user is missing: give the name of a user that may run sudo -n, e.g. debian",
        `loadBalancer.hostKey is missing: ${WANT_HOST_KEY}`,
      ],
    ],
    [
      "a text",
      { loadBalancer: "lb" },
      ['loadBalancer is "lb": give an object with host, user and hostKey, or with local'],
    ],
    [
      "a misspelt field",
      { loadBalancer: { ...MACHINE, hostkey: HOST_KEY } },
      [
        "loadBalancer.hostkey is no key of this project (did you mean hostKey?); the keys are local, host, port, user, hostKey, httpPort, httpsPort, connectionsPerSource, trustedProxies, proxyProtocol, ipv6, configFile, mode, unit, reloadCommand",
      ],
    ],
    [
      "a bad port, user, limit and file",
      {
        loadBalancer: {
          ...{ ...MACHINE, port: 0, user: "a b" },
          ...{ connectionsPerSource: 1, configFile: "/etc/../x" },
        },
      },
      [
        "loadBalancer.port is 0: give a port from 1 to 65535",
        'loadBalancer.user is "a b": give the name of a user that may run sudo -n, e.g. debian',
        "loadBalancer.connectionsPerSource is 1: give an integer from 2 to 1900; 1900 is no limit",
        'loadBalancer.configFile is "/etc/../x": give an absolute path of letters, digits, dots, dashes and underscores',
      ],
    ],
    [
      "proxies in front that are no networks",
      { loadBalancer: { ...MACHINE, trustedProxies: ["10.0.0.0/8", "::1", "10.0.0.0/33", "cdn.example"] } },
      ["10.0.0.0/33", "cdn.example"].map((text, index) =>
        expect.stringContaining(
          `loadBalancer.trustedProxies[${index + 2}] is "${text}": give an address or a network`,
        ),
      ),
    ],
    [
      "two ways at once",
      { loadBalancer: { ...MACHINE, local: true } },
      ["host", "user", "hostKey"].map((name) =>
        expect.stringMatching(
          new RegExp(
            `^loadBalancer\\.${name} is .*: loadBalancer\\.local is true: take one of the two away$`,
          ),
        ),
      ),
    ],
    [
      "ports that are not distinct",
      {
        loadBalancer: { ...MACHINE, httpPort: 8443, httpsPort: 8443 },
        stats: { prometheus: "127.0.0.1:8443" },
      },
      [
        "loadBalancer.httpsPort is 8443: loadBalancer.httpPort is the same: give each its own",
        'stats.prometheus is "127.0.0.1:8443": clients have that port: give another one',
      ],
    ],
    [
      "an exporter on this machine that pods could not find",
      {
        loadBalancer: { local: true },
        loadBalancerPrivateKey: undefined,
        stats: { prometheus: "0.0.0.0:9101" },
        monitoring: {},
      },
      [
        'stats.prometheus is "0.0.0.0:9101": ' +
          "loadBalancer.local is true: give the address of this machine that pods reach",
      ],
    ],
    [
      "a bad unit",
      { loadBalancer: { ...MACHINE, mode: "include", reloadCommand: "true", unit: "a b" } },
      ['loadBalancer.unit is "a b": give the name of a unit of systemd, e.g. haproxy@site'],
    ],
    [
      "a file beside others without systemd",
      { loadBalancer: { ...MACHINE, mode: "include", reloadCommand: "true" } },
      [
        'loadBalancer.reloadCommand is "true": loadBalancer.mode is include, which has to know what a unit of systemd reads: set loadBalancer.unit',
      ],
    ],
    ["no SSH key", { loadBalancerPrivateKey: undefined }, [`loadBalancerPrivateKey is missing: ${WANT_KEY}`]],
    [
      "a public key for a private one",
      { loadBalancerPrivateKey: HOST_KEY },
      [`loadBalancerPrivateKey is not usable: ${WANT_KEY}`],
    ],
    [
      "a key with a passphrase",
      {
        loadBalancerPrivateKey: PRIVATE_KEY.replace(
          /\n.*\n/,
          `\n${btoa("openssh-key-v1\0\0\0\0\naes256-ctr")}\n`,
        ),
      },
      [
        "loadBalancerPrivateKey is not usable: it is protected by a passphrase; give a key without one, made for this purpose",
      ],
    ],
  ])("reports %s", (_, change, lines) => {
    expect(faultsOf(change)).toEqual(lines);
  });

  it("may be this machine, without anything that SSH needs", () => {
    const { loadBalancer } = settings({ loadBalancer: { local: true }, loadBalancerPrivateKey: undefined });
    expect(loadBalancer).toMatchObject({
      local: true,
      host: "127.0.0.1",
      configFile: "/etc/haproxy/haproxy.cfg",
    });
  });

  it("has a file of its own beside others, unless it is given", () => {
    const file = (change: object) =>
      settings({ loadBalancer: { ...MACHINE, ...change } }).loadBalancer.configFile;
    expect(file({ mode: "include" })).toBe("/etc/haproxy/conf.d/zz-istio-lab.cfg");
    expect(file({ mode: "include", configFile: "/srv/lb/lab.cfg" })).toBe("/srv/lb/lab.cfg");
    expect(file({ mode: "file" })).toBe("/etc/haproxy/haproxy.cfg");
  });

  it.each([
    [undefined, false, "http://site.lan/echo/test.txt"],
    [{ http: 80, https: 443 }, true, "https://site.lan/echo/test.txt"],
    [{ http: 8080, https: 8443 }, false, "http://site.lan:8080/echo/test.txt"],
    [{ http: 8080, https: 8443 }, true, "https://site.lan:8443/echo/test.txt"],
  ])("has its ports in the site's URL: %j", (ports, https, url) => {
    expect(siteUrl("site.lan", ports, https)).toBe(url);
  });

  it("shows nothing of the private key", () => {
    const lines = faultsOf({ loadBalancerPrivateKey: `${PRIVATE_KEY}surely-not-shown` });
    expect(lines).toHaveLength(1);
    expect(lines.join()).not.toContain("surely");
  });

  it.each([
    "debian",
    "Admin",
    "first.last",
    "_svc-deploy",
    "1st",
    "user@ad.example.org",
    "DOMAIN\\user",
    "pc$",
  ])("takes %s for a user", (user) => {
    expect(settings({ loadBalancer: { ...MACHINE, user } }).loadBalancer.user).toBe(user);
  });

  it.each(["-oProxyCommand=x", "a b", "a'b", "a$b", "a:b", "a\nb", "", "a\\b\\c", ".hidden"])(
    "refuses %j for a user",
    (user) => {
      expect(faultsOf({ loadBalancer: { ...MACHINE, user } })).toHaveLength(1);
    },
  );

  it.each(["lb", "LB01.Example.ORG", "my_lb.lan", "192.0.2.1", "2001:db8::1"])(
    "takes %s for a host",
    (host) => {
      expect(settings({ loadBalancer: { ...MACHINE, host } }).loadBalancer.host).toBe(host);
    },
  );
});

describe("the host key", () => {
  const hostKey = (text: string) => ({ loadBalancer: { ...MACHINE, hostKey: text } });
  const ecdsa = keyOf("ecdsa-sha2-nistp256");
  const rsa = keyOf("ssh-rsa");

  it.each([
    ["itself", HOST_KEY],
    ["a .pub file with its comment", `${HOST_KEY} root@lb\n`],
    ["a line of ssh-keyscan", `lb.example.org ${HOST_KEY}\n`],
    ["a line of ssh-keyscan at another port", `[lb.example.org]:2222 ${HOST_KEY}\n`],
    ["what OpenSSH 9.8 prints", `# lb:22 SSH-2.0-OpenSSH_9.8\nlb ${HOST_KEY}\n`],
    [
      "every type of one host, in any order",
      `# lb:22 SSH-2.0-OpenSSH_9.8\nlb ${rsa}\n# lb:22 SSH\nlb ${ecdsa}\n# lb:22 SSH\nlb ${HOST_KEY}\n`,
    ],
    ["the same after `cut -d ' ' -f 2-`", `SSH-2.0-OpenSSH_9.8\n${rsa}\n${HOST_KEY}\n`],
  ])("is %s", (_, text) => {
    expect(settings(hostKey(text)).loadBalancer.hostKey?.text).toBe(HOST_KEY);
  });

  it("is the ecdsa key of a machine that has no ed25519 key", () => {
    expect(settings(hostKey(`lb ${rsa}\nlb ${ecdsa}`)).loadBalancer.hostKey?.text).toBe(ecdsa);
  });

  it.each([
    ["nothing", undefined, "is missing"],
    ["half a key", "ssh-ed25519 AAAA", 'is "ssh-ed25519 AAAA"'],
    ["another type's bytes", ecdsa.replace("nistp256", "nistp384"), ""],
    ["a comment alone", "# lb:22 SSH-2.0", ""],
    ["an unknown type", keyOf("ssh-dss"), ""],
  ])("is not %s", (_, text, is) => {
    expect(faultsOf(hostKey(text as string))).toEqual([
      expect.stringContaining(`loadBalancer.hostKey ${is}`),
    ]);
    expect(faultsOf(hostKey(text as string))[0]).toContain(WANT_HOST_KEY);
  });

  it("is not an RSA key, which Pulumi's SSH client cannot use", () => {
    expect(faultsOf(hostKey(rsa))).toEqual([
      expect.stringMatching(
        /^loadBalancer\.hostKey is "ssh-rsa .*: Pulumi's SSH client .*ssh-keyscan -t ed25519/,
      ),
    ]);
  });
});

describe("nodes", () => {
  it.each<[string, unknown, string[]]>([
    [
      "an address that is none",
      [{ name: "node02", address: "10.0.0.300" }],
      ['nodes[0].address is "10.0.0.300": give an IPv4 or IPv6 address or a DNS name'],
    ],
    [
      "a node twice",
      [
        { name: "node02", address: "10.0.0.2" },
        { name: "node02", address: "10.0.0.3" },
      ],
      ['nodes[1].name is "node02": nodes[0] has the same: give each node once'],
    ],
    ["an object", { node02: "10.0.0.2" }, ['nodes is {"node02":"10.0.0.2"}: give a list of nodes']],
  ])("reports %s", (_, nodes, lines) => {
    expect(faultsOf({ nodes })).toEqual(lines);
  });

  it.each([
    ["node02", "10.0.0.1"],
    ["Node_02", "fe80::1"],
    ["node02.example.org", "::ffff:10.0.0.1"],
    ["RANCHER-node02", "Node_02.example.org"],
  ])("takes %s at %s", (name, address) => {
    expect(settings({ nodes: [{ name, address }] }).nodes).toEqual([{ name, address }]);
  });
});

function keyOf(type: string): string {
  const field = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  return `${type} ${Buffer.concat([field(Buffer.from(type)), field(Buffer.alloc(64, 7))]).toString("base64")}`;
}

import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { CONFIG_KEYS, loadConfig, parseConfig } from "../../../settings/settings.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { HOST_KEY, LEAST, PRIVATE_KEY, startMocks } from "../../support/mocks.ts";

afterEach(() => vi.unstubAllEnvs());
afterEach(() => pulumi.runtime.disconnect());

const V116 = { name: "v116", version: "1.16", image: "nginx:1.16.1" };
const V117 = { name: "v117", version: "1.17", image: "nginx:1.17.9" };
const MACHINE = LEAST.loadBalancer;

const KEYSCAN =
  "give the machine's public host key; `ssh-keyscan -t ed25519 HOST` prints it after the host's name: give `TYPE BASE64`, and compare it with the machine's own /etc/ssh/ssh_host_ed25519_key.pub";
const KEYS =
  "the keys are kubeconfig, context, namespace, host, gatewayHosts, versions, weights, istio, nodes, loadBalancer, loadBalancerPrivateKey, tls, tlsCertificate, tlsKey, stats, statsPassword";
const WANT_KEY =
  "give an SSH private key: pulumi config set --secret loadBalancerPrivateKey < ~/.ssh/id_ed25519";

// Each row: what is wrong with an otherwise good configuration, and every line that the user reads.
const FAULTS: [string, Record<string, unknown>, string[]][] = [
  [
    "a weight of an unknown version",
    { weights: { v116: 50, v117: 50, v118: 0 } },
    ["weights.v118 is 0: no such version (did you mean v116?); the versions are v116, v117"],
  ],
  [
    "a version without a weight",
    { weights: { v116: 100 } },
    ["weights.v117 is missing: give v117 an integer percent; 0 is legal"],
  ],
  [
    "a sum below 100",
    { weights: { v116: 50, v117: 40 } },
    ['weights is {"v116":50,"v117":40}: the sum is 90; give percents that sum to 100'],
  ],
  [
    "fractions",
    { weights: { v116: 49.5, v117: 50.5 } },
    [
      "weights.v116 is 49.5: give an integer percent from 0 to 100",
      "weights.v117 is 50.5: give an integer percent from 0 to 100",
    ],
  ],
  [
    "a negative weight and one over 100",
    { weights: { v116: -10, v117: 110 } },
    [
      "weights.v116 is -10: give an integer percent from 0 to 100",
      "weights.v117 is 110: give an integer percent from 0 to 100",
    ],
  ],
  [
    "a weight in quotes",
    { weights: { v116: "50", v117: 50 } },
    ['weights.v116 is "50": give an integer percent from 0 to 100'],
  ],
  [
    "weights as a list",
    { weights: [50, 50] },
    ["weights is [50,50]: give an object of version name to percent"],
  ],
  [
    "a bad host name",
    { host: "nginx_1.hung.org.hk" },
    ['host is "nginx_1.hung.org.hk": give a DNS name, e.g. nginx.hung.org.hk'],
  ],
  [
    "an address as host",
    { host: "10.0.0.1" },
    ['host is "10.0.0.1": give a DNS name, e.g. nginx.hung.org.hk'],
  ],
  ["an empty host", { host: "" }, ["host is missing: give a DNS name, e.g. nginx.hung.org.hk"]],
  [
    "a host outside the Gateway's",
    { host: "nginx.example.org" },
    [
      'host is "nginx.example.org": the Gateway lets in *.hung.org.hk only: add nginx.example.org to gatewayHosts',
    ],
  ],
  [
    "the bare domain, which *. does not include",
    { host: "hung.org.hk" },
    ['host is "hung.org.hk": the Gateway lets in *.hung.org.hk only: add hung.org.hk to gatewayHosts'],
  ],
  ["no host for the Gateway", { gatewayHosts: [] }, ["gatewayHosts is []: give at least one host name"]],
  [
    "a wildcard in the middle",
    { gatewayHosts: ["*.hung.org.hk", "a*.b"] },
    ['gatewayHosts[1] is "a*.b": give a DNS name, which may begin with *.'],
  ],
  [
    "a version twice",
    { versions: [V116, { ...V117, name: "v116" }], weights: { v116: 100 } },
    ['versions[1].name is "v116": versions[0] has the same: give each version a name of its own'],
  ],
  [
    "a version label twice",
    { versions: [V116, { ...V117, version: "1.16" }] },
    [
      'versions[1].version is "1.16": versions[0] has the same: give each version a label of its own, or their pods mix',
    ],
  ],
  [
    "a page twice",
    { versions: [V116, { ...V117, page: "v1.16.1\n" }] },
    [
      'versions[1].page is "v1.16.1\\n": versions[0] has the same: give each version a page of its own, or nobody can tell who answered',
    ],
  ],
  ["no versions", { versions: [] }, ["versions is []: give at least one version"]],
  [
    "a version label that YAML reads as a number",
    { versions: [V116, { ...V117, version: 1.17 }] },
    ['versions[1].version is 1.17: give a label value in quotes, e.g. "1.16"'],
  ],
  [
    "a bad image",
    { versions: [V116, { ...V117, image: "nginx 1.17" }] },
    ['versions[1].image is "nginx 1.17": give an image reference, e.g. nginx:1.16.1'],
  ],
  [
    "an image that makes no page",
    { versions: [V116, { ...V117, image: "registry.example.org:5000/nginx" }] },
    [
      "versions[1].page is missing: the image registry.example.org:5000/nginx has no tag to make one of: give a text that tells this version",
    ],
  ],
  [
    "no replicas",
    { versions: [V116, { ...V117, replicas: 0 }] },
    ["versions[1].replicas is 0: give an integer from 1 to 1000"],
  ],
  [
    "a misspelt field of a version",
    { versions: [V116, { ...V117, imgae: "nginx:1.17.9" }] },
    [
      "versions[1].imgae is no key of this project (did you mean image?); the keys are name, version, image, replicas, page",
    ],
  ],
  [
    "half a version",
    { versions: [V116, { name: "v117" }] },
    [
      'versions[1].version is missing: give a label value in quotes, e.g. "1.16"',
      "versions[1].image is missing: give an image reference, e.g. nginx:1.16.1",
    ],
  ],
  ["a bad namespace", { namespace: "My Apps" }, ['namespace is "My Apps": give a DNS label, e.g. default']],
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
  [
    "no host key",
    { loadBalancer: { ...MACHINE, hostKey: undefined } },
    [`loadBalancer.hostKey is missing: ${KEYSCAN}`],
  ],
  [
    "half a host key",
    { loadBalancer: { ...MACHINE, hostKey: "ssh-ed25519 AAAA" } },
    [`loadBalancer.hostKey is "ssh-ed25519 AAAA": ${KEYSCAN}`],
  ],
  [
    "no load balancer",
    { loadBalancer: {} },
    [
      "loadBalancer.host is missing: give the address or DNS name of the machine with HAProxy",
      "loadBalancer.user is missing: give the name of a user that may run sudo -n, e.g. debian",
      `loadBalancer.hostKey is missing: ${KEYSCAN}`,
    ],
  ],
  [
    "a misspelt field of the load balancer",
    { loadBalancer: { ...MACHINE, hostkey: HOST_KEY } },
    [
      "loadBalancer.hostkey is no key of this project (did you mean hostKey?); the keys are host, port, user, hostKey, configFile, reloadCommand",
    ],
  ],
  [
    "a bad port, user and file",
    { loadBalancer: { ...MACHINE, port: 0, user: "a b", configFile: "/etc/../x" } },
    [
      "loadBalancer.port is 0: give a port from 1 to 65535",
      'loadBalancer.user is "a b": give the name of a user that may run sudo -n, e.g. debian',
      'loadBalancer.configFile is "/etc/../x": give an absolute path of letters, digits, dots, dashes and underscores',
    ],
  ],
  [
    "a node address that is none",
    { nodes: [{ name: "node02", address: "10.0.0.300" }] },
    ['nodes[0].address is "10.0.0.300": give an IPv4 or IPv6 address or a DNS name'],
  ],
  [
    "a node twice",
    {
      nodes: [
        { name: "node02", address: "10.0.0.2" },
        { name: "node02", address: "10.0.0.3" },
      ],
    },
    ['nodes[1].name is "node02": nodes[0] has the same: give each node once'],
  ],
  [
    "nodes as an object",
    { nodes: { node02: "10.0.0.2" } },
    ['nodes is {"node02":"10.0.0.2"}: give a list of nodes'],
  ],
  [
    "a misspelt field of Istio",
    { istio: { verson: "1.31.0" } },
    [
      "istio.verson is no key of this project (did you mean version?); the keys are version, profile, hub, tag, values, manage",
    ],
  ],
  [
    "a bad version of Istio",
    { istio: { version: "1.31" } },
    ['istio.version is "1.31": give a version, e.g. 1.31.0'],
  ],
  [
    "a profile of Istio without the gateway that the load balancer leads to",
    { istio: { profile: "minimal" } },
    [
      'istio.profile is "minimal": give the name of a profile that has an ingress gateway, e.g. demo or default',
    ],
  ],
  ["a switch in words", { istio: { manage: "yes" } }, ['istio.manage is "yes": give true or false']],
  [
    "a misspelt key",
    { weigths: { v116: 50 } },
    [`weigths is no key of this project (did you mean weights?); ${KEYS}`],
  ],
  [
    "faults in three keys",
    { host: "a b", namespace: "A", weights: { v116: 50, v117: 51 } },
    [
      'namespace is "A": give a DNS label, e.g. default',
      'host is "a b": give a DNS name, e.g. nginx.hung.org.hk',
      'weights is {"v116":50,"v117":51}: the sum is 101; give percents that sum to 100',
    ],
  ],
];

describe("parseConfig", () => {
  it.each(FAULTS)("tells of %s", (_, change, lines) => {
    expect(() => parseConfig({ ...LEAST, ...change })).toThrow(
      expect.objectContaining({ message: lines.join("\n") }),
    );
  });

  it("fills in the article's lab", () => {
    expect(parseConfig(LEAST)).toEqual({
      kubeconfig: "",
      context: "",
      namespace: "default",
      host: "nginx.hung.org.hk",
      gatewayHosts: ["*.hung.org.hk"],
      versions: [
        { ...V116, replicas: 3, page: "v1.16.1\n" },
        { ...V117, replicas: 3, page: "v1.17.9\n" },
      ],
      weights: { v116: 50, v117: 50 },
      istio: { version: "1.31.0", profile: "demo", values: {}, manage: true },
      nodes: [],
      loadBalancer: { ...MACHINE, port: 22, configFile: "/etc/haproxy/haproxy.cfg" },
      loadBalancerPrivateKey: PRIVATE_KEY,
      stats: {},
    });
  });

  it("takes a weight of 0, one version, five versions", () => {
    expect(parseConfig({ ...LEAST, weights: { v116: 0, v117: 100 } }).weights).toEqual({
      v116: 0,
      v117: 100,
    });
    expect(parseConfig({ ...LEAST, versions: [V116], weights: { v116: 100 } }).versions).toHaveLength(1);
    const five = [1, 2, 3, 4, 5].map((n) => ({ name: `v${n}`, version: `${n}`, image: `nginx:1.${n}` }));
    const weights = { v1: 20, v2: 20, v3: 20, v4: 20, v5: 20 };
    expect(parseConfig({ ...LEAST, versions: five, weights }).versions).toHaveLength(5);
  });

  it("does not take an inherited property for a weight", () => {
    const versions = [V116, { ...V117, name: "constructor" }];
    expect(() => parseConfig({ ...LEAST, versions, weights: { v116: 100 } })).toThrow(
      "weights.constructor is missing",
    );
  });

  it("drops the comment of a host key", () => {
    const loadBalancer = { ...MACHINE, hostKey: `${HOST_KEY} root@lb\n` };
    expect(parseConfig({ ...LEAST, loadBalancer }).loadBalancer.hostKey).toBe(HOST_KEY);
  });

  it("tells nothing of the private key", () => {
    const secret = `${PRIVATE_KEY}surely-not-shown`;
    expect(() => parseConfig({ ...LEAST, loadBalancerPrivateKey: secret })).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining("surely") }),
    );
  });
});

describe("tls", () => {
  const good = makeCertificate("nginx.hung.org.hk");
  const other = makeCertificate("www.example.org");
  const WANT_CERTIFICATE =
    "give the server's certificate and its chain in PEM: pulumi config set --secret tlsCertificate < fullchain.pem";
  const WANT_KEY =
    "give the certificate's private key in PEM: pulumi config set --secret tlsKey < privkey.pem";
  const tomorrow = new Date(Date.now() + 2 * 86_400_000);
  const lastYear = new Date(Date.now() - 365 * 86_400_000);
  const faultsOf = (raw: Record<string, unknown>, now?: Date): string[] => {
    try {
      parseConfig({ ...LEAST, ...raw }, { now });
      return [];
    } catch (error) {
      return (error as Error).message.split("\n");
    }
  };
  const tls = { mode: "terminate" };

  it("is off by default, and may be off while certificate and key stay", () => {
    expect(parseConfig(LEAST).tls).toBeUndefined();
    expect(parseConfig({ ...LEAST, tlsCertificate: "old", tlsKey: "old" }).tls).toBeUndefined();
  });

  it("takes a chain and its key, and drops whatever else the text holds", () => {
    const tlsCertificate = `server s_client says:\n${good.certificate}# istio-lab owner=x\n${other.certificate}`;
    const config = parseConfig({ ...LEAST, tls, tlsCertificate, tlsKey: good.key });
    expect(config.tls).toEqual({
      mode: "terminate",
      redirect: false,
      certificate: good.certificate + other.certificate,
      key: expect.stringMatching(/^-----BEGIN PRIVATE KEY-----\n[^#]+\n-----END PRIVATE KEY-----\n$/),
    });
  });

  it.each<[string, Record<string, unknown>, Date | undefined, (string | RegExp)[]]>([
    [
      "nothing given",
      { tls },
      undefined,
      [`tlsCertificate is missing: ${WANT_CERTIFICATE}`, `tlsKey is missing: ${WANT_KEY}`],
    ],
    [
      "no PEM",
      { tls, tlsCertificate: "surely", tlsKey: "not shown" },
      undefined,
      [`tlsCertificate is not usable: ${WANT_CERTIFICATE}`, `tlsKey is not usable: ${WANT_KEY}`],
    ],
    [
      "another host's certificate, another certificate's key, all at once",
      { tls, tlsCertificate: other.certificate, tlsKey: good.key },
      undefined,
      [
        "tlsCertificate is not usable: it is for DNS:www.example.org; give one for nginx.hung.org.hk",
        "tlsKey is not usable: it does not belong to the first certificate in tlsCertificate, which has to be the server's own",
      ],
    ],
    [
      "an expired certificate",
      { tls, tlsCertificate: good.certificate, tlsKey: good.key },
      tomorrow,
      [/^tlsCertificate is not usable: it expired on .* GMT; give a new one$/],
    ],
    [
      "a certificate of the future",
      { tls, tlsCertificate: good.certificate, tlsKey: good.key },
      lastYear,
      [/^tlsCertificate is not usable: it is good from .* GMT only$/],
    ],
    [
      "a key with a passphrase",
      { tls, tlsCertificate: good.certificate, tlsKey: good.key.replaceAll("PRIVATE", "ENCRYPTED PRIVATE") },
      undefined,
      ["tlsKey is not usable: it is protected by a passphrase; give it without one"],
    ],
    [
      "a redirect to nowhere",
      { tls: { redirect: true } },
      undefined,
      ["tls.mode is missing: give terminate or passthrough"],
    ],
    ["another mode", { tls: { mode: "on" } }, undefined, ['tls.mode is "on": give terminate or passthrough']],
    [
      "a misspelt field",
      { tls: { mod: "terminate" } },
      undefined,
      ["tls.mod is no key of this project (did you mean mode?); the keys are mode, redirect"],
    ],
  ])("tells of %s", (_, raw, now, lines) => {
    expect(faultsOf(raw, now)).toEqual(
      lines.map((line) => (typeof line === "string" ? line : expect.stringMatching(line))),
    );
  });
});

describe("stats", () => {
  const statsPassword = "correct-horse-battery";

  it("takes addresses of both kinds", () => {
    const stats = { prometheus: "10.0.0.1:9101", page: "[::1]:8404" };
    expect(parseConfig({ ...LEAST, stats, statsPassword }).stats).toEqual({
      prometheus: { address: "10.0.0.1", port: 9101 },
      page: { address: "::1", port: 8404, user: "admin", password: statsPassword },
    });
  });

  it.each([
    "",
    "8404",
    "lb:8404",
    "10.0.0.1:80",
    "10.0.0.1:0",
    "10.0.0.1:65536",
    "::1:8404",
    "10.0.0.1:9 ssl",
    "*:9",
  ])("refuses %j", (prometheus) => {
    expect(() => parseConfig({ ...LEAST, stats: { prometheus } })).toThrow(
      /^stats\.prometheus is .*: give an address/,
    );
  });

  it("wants a good password for the page, and never shows it", () => {
    const page = "127.0.0.1:8404";
    const want =
      "give 12 to 128 plain ASCII characters without spaces: pulumi config set --secret statsPassword";
    const refused = (raw: object, line: string) =>
      expect(() => parseConfig({ ...LEAST, ...raw })).toThrow(expect.objectContaining({ message: line }));
    refused({ stats: { page } }, `statsPassword is missing: ${want}`);
    refused({ stats: { page }, statsPassword: "short" }, `statsPassword is not usable: ${want}`);
    refused(
      { stats: { page, prometheus: page }, statsPassword },
      'stats.page is {"address":"127.0.0.1","port":8404}: stats.prometheus has the same port: give each its own',
    );
  });
});

describe("words that go to HAProxy, to a shell or to SSH", () => {
  const words = [
    "",
    "node02",
    "10.0.0.1",
    "fe80::1",
    "/etc/haproxy/haproxy.cfg",
    "debian",
    "a".repeat(64),
    "a".repeat(5000),
  ];
  const poison = [
    "",
    "\n",
    "\r",
    " ",
    "\t",
    "'",
    '"',
    "`",
    "$(id)",
    "$HOME",
    ";",
    "&",
    "|",
    "#",
    "\\",
    "\0",
    "%eth0",
    "\u2028",
    "é",
  ];
  const rest = ["", "server evil 6.6.6.6:80", "id"];
  const crafted = words.flatMap((word) =>
    poison.flatMap((drop) => rest.flatMap((tail) => [word + drop + tail, drop + word + tail])),
  );

  // Each place with the characters that a good word there is made of.
  const places: [string, RegExp, (word: string) => Record<string, unknown>][] = [
    ["nodes[].name", /^[a-z0-9.-]{1,253}$/, (word) => ({ nodes: [{ name: word, address: "10.0.0.2" }] })],
    [
      "nodes[].address",
      /^[A-Fa-z0-9.:-]{1,253}$/,
      (word) => ({ nodes: [{ name: "node02", address: word }] }),
    ],
    [
      "loadBalancer.host",
      /^[A-Fa-z0-9.:-]{1,253}$/,
      (word) => ({ loadBalancer: { ...MACHINE, host: word } }),
    ],
    ["loadBalancer.user", /^[a-z0-9_-]{1,32}$/, (word) => ({ loadBalancer: { ...MACHINE, user: word } })],
    [
      "loadBalancer.configFile",
      /^\/[A-Za-z0-9._/-]{1,4094}$/,
      (word) => ({ loadBalancer: { ...MACHINE, configFile: word } }),
    ],
    ["host", /^[a-z0-9.-]{1,253}$/, (word) => ({ host: word, gatewayHosts: ["*"] })],
    ["namespace", /^[a-z0-9-]{1,63}$/, (word) => ({ namespace: word })],
    ["istio.profile", /^[a-z0-9-]{1,63}$/, (word) => ({ istio: { profile: word } })],
  ];

  it.each(places)("%s is made of plain characters or refused", (_, plain, change) => {
    const accepted = (word: string) => {
      try {
        parseConfig({ ...LEAST, ...change(word) });
        return true;
      } catch {
        return false;
      }
    };
    expect(crafted.filter((word) => accepted(word) && !plain.test(word))).toEqual([]);
    expect(crafted.some(accepted)).toBe(true);
    fc.assert(fc.property(fc.string({ unit: "binary" }), (word) => !accepted(word) || plain.test(word)));
  });

  it.each(["10.0.0.1", "fe80::1", "::ffff:10.0.0.1", "rancher-node02", "node.example.org"])(
    "%s is a good address",
    (address) => {
      expect(parseConfig({ ...LEAST, nodes: [{ name: "node02", address }] }).nodes[0]?.address).toBe(address);
    },
  );
});

describe("loadConfig", () => {
  it("reads the stack", async () => {
    await startMocks({ weights: { v116: 10, v117: 90 }, nodes: [{ name: "node02", address: "10.0.0.2" }] });
    expect(loadConfig()).toMatchObject({ weights: { v116: 10, v117: 90 }, nodes: [{ name: "node02" }] });
  });

  it("throws one RunError that lists every fault", async () => {
    await startMocks({ host: "a b", loadBalancerPrivateKey: undefined });
    expect(() => loadConfig()).toThrow(
      expect.objectContaining({
        __pulumiRunError: true,
        message: [
          "The configuration of stack test has 2 faults:",
          '  host is "a b": give a DNS name, e.g. nginx.hung.org.hk',
          `  loadBalancerPrivateKey is missing: ${WANT_KEY}`,
        ].join("\n"),
      }),
    );
  });

  it("takes an empty secret for one that is not set", async () => {
    await startMocks({ loadBalancerPrivateKey: "", tlsKey: "", statsPassword: "" });
    expect(() => loadConfig()).toThrow(/has 1 fault:\n {2}loadBalancerPrivateKey is missing: /);
  });

  it("refuses a secret that stands in the settings in plain", async () => {
    vi.stubEnv("PULUMI_CONFIG_SECRET_KEYS", "[]");
    await startMocks({});
    expect(() => loadConfig()).toThrow(
      "loadBalancerPrivateKey stands in plain in the stack's settings: make it a secret with pulumi config set --secret loadBalancerPrivateKey",
    );
    vi.stubEnv("PULUMI_CONFIG_SECRET_KEYS", '["istio-lab:loadBalancerPrivateKey"]');
    expect(loadConfig().host).toBe("nginx.hung.org.hk");
  });

  it("says what is right for an object that is no JSON", async () => {
    await startMocks({ weights: "v116=50" });
    expect(() => loadConfig()).toThrow('weights is "v116=50": give an object of version name to percent');
  });
});

describe("the keys", () => {
  const project = parse(read("Pulumi.yaml"));
  const table = read("docs/config.md").matchAll(/^\| `(\w+)` \|.*$/gm);
  const rows = new Map([...table].map(([row, key = ""]) => [key, row]));

  it("are the same in the schema, the code and the documentation", () => {
    expect(Object.keys(project.config)).toEqual(CONFIG_KEYS);
    expect([...rows.keys()]).toEqual(CONFIG_KEYS);
  });

  it("have a type, a description and a default each", () => {
    for (const key of Object.values<Record<string, unknown>>(project.config)) {
      expect(key).toEqual(
        expect.objectContaining({
          type: expect.any(String),
          description: expect.any(String),
          default: expect.anything(),
        }),
      );
    }
  });

  it("have no secret in the schema: the engine would refuse its default", () => {
    expect(Object.values<{ secret?: boolean }>(project.config).filter(({ secret }) => secret)).toEqual([]);
  });

  it("have the defaults of the code", () => {
    const defaults = Object.fromEntries(
      Object.entries<{ default?: unknown }>(project.config).map(([key, { default: value }]) => [key, value]),
    );
    const { loadBalancer: _, loadBalancerPrivateKey: __, ...rest } = defaults;
    expect(parseConfig({ ...rest, ...LEAST })).toEqual(parseConfig(LEAST));
  });

  it("have the defaults of the documentation, where the two versions are the article's", () => {
    for (const [key, { default: value }] of Object.entries<{ default: unknown }>(project.config)) {
      const row = rows.get(key) ?? "";
      const told =
        key === "versions" ? ["the article's two"] : scalarsOf(value).filter((each) => each !== "");
      for (const each of told) expect(row, key).toContain(`${each}`);
    }
  });

  it("of the article's stack are good, and name no project: `pulumi new` may choose another", () => {
    const stack: Record<string, unknown> = parse(read("Pulumi.dev.yaml")).config;
    expect(CONFIG_KEYS).toEqual(expect.arrayContaining(Object.keys(stack)));
    expect(parseConfig({ ...LEAST, ...stack }).nodes).toHaveLength(3);
  });
});

function scalarsOf(value: unknown): unknown[] {
  return value instanceof Object ? Object.values(value).flatMap(scalarsOf) : [value];
}

function read(path: string): string {
  return readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
}

/** How a stack's configuration is read: all capabilities, all faults. */

import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { capabilities } from "../../../capabilities.ts";
import { parseHostKey } from "../../../clients/hostKey.ts";
import { ISTIO_GATEWAY } from "../../../mesh/model.ts";
import { loadSettings, parseSettings } from "../../../settings/settings.ts";
import { key, slice } from "../../../settings/slice.ts";
import { HOST_KEY, LEAST, PRIVATE_KEY, startMocks } from "../../support/mocks.ts";
import { faultsOf, settings } from "../../support/settings.ts";

afterEach(() => vi.unstubAllEnvs());
afterEach(() => pulumi.runtime.disconnect());

const KEYS =
  "the keys are kubeconfig, context, namespace, labels, versions, host, gatewayHosts, weights, istio, nodes, loadBalancer, loadBalancerPrivateKey, tls, tlsCertificate, tlsKey, stats, statsPassword, monitoring, tracing";

describe("parseSettings", () => {
  it("fills in the article's lab", () => {
    expect(settings()).toEqual({
      kubeconfig: "",
      context: "",
      namespace: "default",
      labels: {},
      host: "nginx.hung.org.hk",
      gatewayHosts: ["*.hung.org.hk"],
      versions: [
        { name: "v116", version: "1.16", image: "nginx:1.16.1", replicas: 3, page: "v1.16.1\n" },
        { name: "v117", version: "1.17", image: "nginx:1.17.9", replicas: 3, page: "v1.17.9\n" },
      ],
      weights: { v116: 50, v117: 50 },
      istio: {
        version: "1.31.0",
        profile: "demo",
        values: {},
        components: {},
        gateway: ISTIO_GATEWAY,
        manage: true,
      },
      nodes: [],
      loadBalancer: {
        ...LEAST.loadBalancer,
        hostKey: parseHostKey(HOST_KEY),
        local: false,
        port: 22,
        ports: { http: 80, https: 443 },
        configFile: "/etc/haproxy/haproxy.cfg",
        connectionsPerSource: 950,
        trustedProxies: [],
        ipv6: false,
        unit: "haproxy",
      },
      loadBalancerPrivateKey: PRIVATE_KEY,
      stats: {},
    });
  });

  it("reports a misspelt key", () => {
    expect(faultsOf({ weigths: { v116: 50 } })).toEqual([
      `weigths is no key of this project (did you mean weights?); ${KEYS}`,
    ]);
  });

  it("reports faults of every capability at once", () => {
    expect(faultsOf({ host: "a b", namespace: "A", weights: { v116: 50, v117: 51 } })).toEqual([
      'namespace is "A": give a DNS label, e.g. default',
      'host is "a b": give a DNS name, e.g. nginx.hung.org.hk',
      'weights is {"v116":50,"v117":51}: the sum is 101; give percents that sum to 100',
    ]);
  });

  it("takes settings of any capability: their names, kinds and secrets stand in its slice alone", () => {
    const wall = slice({
      keys: {
        color: key(z.string().default("white"), "Color"),
        password: key(z.string(), "Password", { secret: "private" }),
      },
      check: ({ password }, { fault }) => {
        if (password === "short") fault("password", password, "give a longer one");
      },
      resolve: ({ color }) => ({ paint: `${color} paint` }),
    });
    const parse = (raw: object) => parseSettings([{ settings: wall }], { ...raw });
    expect(parse({ password: "a" })).toEqual({ paint: "white paint" });
    expect(() => parse({ password: "short" })).toThrow("password is not usable: give a longer one");
    expect(() => parse({ password: "a", colour: "red" })).toThrow("did you mean color?");
  });
});

describe("loadSettings", () => {
  it("reads the stack", async () => {
    await startMocks({ weights: { v116: 10, v117: 90 }, nodes: [{ name: "node02", address: "10.0.0.2" }] });
    expect(loadSettings(capabilities)).toMatchObject({
      weights: { v116: 10, v117: 90 },
      nodes: [{ name: "node02" }],
    });
  });

  it("throws one RunError that lists every fault", async () => {
    await startMocks({ host: "a b", loadBalancerPrivateKey: undefined });
    expect(() => loadSettings(capabilities)).toThrow(
      expect.objectContaining({
        __pulumiRunError: true,
        message: [
          "The configuration of stack test has 2 faults:",
          '  host is "a b": give a DNS name, e.g. nginx.hung.org.hk',
          "  loadBalancerPrivateKey is missing: give an SSH private key: pulumi config set --secret loadBalancerPrivateKey < ~/.ssh/id_ed25519",
        ].join("\n"),
      }),
    );
  });

  it("takes an empty secret for one that is not set", async () => {
    await startMocks({ loadBalancerPrivateKey: "", tlsKey: "", statsPassword: "" });
    expect(() => loadSettings(capabilities)).toThrow(/has 1 fault:\n {2}loadBalancerPrivateKey is missing: /);
  });

  it("refuses a private key that stands in the settings in plain text, and takes a certificate", async () => {
    vi.stubEnv("PULUMI_CONFIG_SECRET_KEYS", "[]");
    await startMocks({ tlsCertificate: "public" });
    expect(() => loadSettings(capabilities)).toThrow(
      /has 1 fault:\n {2}loadBalancerPrivateKey stands in plain text in the stack's settings: make it a secret \(pulumi config set --secret loadBalancerPrivateKey\)/,
    );
    vi.stubEnv("PULUMI_CONFIG_SECRET_KEYS", '["istio-lab:loadBalancerPrivateKey"]');
    expect(loadSettings(capabilities).host).toBe("nginx.hung.org.hk");
  });

  it("says what is right for an object that is not JSON", async () => {
    await startMocks({ weights: "v116=50" });
    expect(() => loadSettings(capabilities)).toThrow(
      'weights is "v116=50": give an object of version name to percent',
    );
  });

  it("leaves texts that look like JSON as they are", async () => {
    await startMocks({ context: "2026", kubeconfig: "true" });
    expect(loadSettings(capabilities)).toMatchObject({ context: "2026", kubeconfig: "true" });
  });
});

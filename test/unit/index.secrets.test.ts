/** The whole program: private keys, certificates and passwords are only in secrets. */
import { describe, expect, it } from "vitest";
import { makeCertificate } from "../support/certificates.ts";
import { find, PRIVATE_KEY } from "../support/mocks.ts";
import { runProgram, withoutSecrets } from "../support/program.ts";

describe("the cluster", () => {
  const kubeconfigOf = async (kubeconfig: string) =>
    find((await runProgram({}, { kubeconfig })).resources, "cluster");

  it("is given to the provider by the kubeconfig's path, or by its content in a secret", async () => {
    expect((await kubeconfigOf("/k")).inputs.kubeconfig).toBe("/k");
    const content = JSON.stringify({ users: [{ name: "u", user: { token: "of-the-user" } }] });
    const { inputs, wire } = await kubeconfigOf(content);
    expect(inputs.kubeconfig).toBe(content);
    expect(withoutSecrets(wire)).not.toContain("of-the-user");
  });
});

describe("the load balancer", () => {
  it("keeps the private key in a secret", async () => {
    const { resources, outputs } = await runProgram();
    const key = JSON.stringify(PRIVATE_KEY).slice(1, -1);
    expect(find(resources, "edge", "Command").inputs.connection.privateKey).toBe(PRIVATE_KEY);
    for (const { wire, path } of resources)
      expect([path, withoutSecrets(wire).includes(key)]).toEqual([path, false]);
    expect(JSON.stringify(outputs)).not.toContain(key);
  });
});

describe("https", () => {
  const { certificate, key } = makeCertificate("nginx.hung.org.hk");
  const pem = certificate + key;
  const config = (mode: string) => ({
    tls: { mode, redirect: true },
    tlsCertificate: certificate,
    tlsKey: key,
  });
  const inWire = (text: string) => JSON.stringify(text).slice(1, -1);

  it("at the load balancer: the certificate goes with the file, as a secret", async () => {
    const { resources, outputs } = await runProgram(config("terminate"));
    const { stdin, create } = find(resources, "edge", "Command").inputs;
    expect(stdin).toContain(`${pem}# istio-lab owner=`);
    expect(stdin).toMatch(/bind \*:443 ssl crt \/etc\/haproxy\/haproxy\.cfg\.tls-[0-9a-f]{16}\.pem /);
    expect(create).not.toContain("PRIVATE KEY");
    expect(outputs.url).toBe("https://nginx.hung.org.hk/echo/test.txt");
    for (const { wire } of resources) expect(withoutSecrets(wire)).not.toContain(inWire(key));
    expect(JSON.stringify(outputs)).not.toContain(inWire(key));
  });

  it("at the gateway: the certificate goes into a Secret that the Gateway names", async () => {
    const { resources } = await runProgram(config("passthrough"));
    expect(find(resources, "edge", "Command").inputs.stdin).not.toContain("BEGIN");
    expect(find(resources, "edge", "Command").inputs.stdin).toContain("server rancher-node02 10.0.0.2:30895");
    const secret = find(resources, "split-certificate");
    expect(secret.inputs).toMatchObject({
      type: "kubernetes.io/tls",
      metadata: { name: "nginx-gateway-tls-default", namespace: "istio-system" },
      stringData: { "tls.crt": certificate, "tls.key": key },
    });
    expect(withoutSecrets(secret.wire)).not.toContain(inWire(key));
    const gateway = find(resources, "split-gateway");
    expect(gateway.dependencies).toEqual(["split-certificate"]);
    // The load balancer forwards nothing to a port that is not open yet.
    expect(find(resources, "edge", "HaproxyEdge").dependencies).toEqual([
      "istio-istiod",
      "proxy-protocol-https",
      "split-gateway",
    ]);
    expect(gateway.inputs.spec.servers[1]).toEqual({
      port: { number: 443, name: "https", protocol: "HTTPS" },
      hosts: ["*.hung.org.hk"],
      tls: { mode: "SIMPLE", credentialName: "nginx-gateway-tls-default" },
    });
  });
});

describe("the stats page", () => {
  it("has its password, and everything derived from it, only in secrets", async () => {
    const statsPassword = "correct-horse-battery";
    const { resources, outputs } = await runProgram({ stats: { page: "127.0.0.1:8404" }, statsPassword });
    const { stdin } = find(resources, "edge", "Command").inputs;
    const hash = /-m str ([0-9A-F]{64}) /.exec(stdin)?.[1] ?? "none";
    for (const { wire } of resources) {
      expect(withoutSecrets(wire)).not.toContain(statsPassword);
      expect(withoutSecrets(wire)).not.toContain(hash);
    }
    expect(stdin).not.toContain(statsPassword);
    expect(outputs.configHash).toMatch(/^[0-9a-f]{64}$/);
  });
});

// Port 443 from end to end, for clients that verify the certificate: off, at the load balancer, at the
// gateway, off again.

import { createHash, X509Certificate } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { execa } from "execa";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { succeeds } from "../../clients/process.ts";
import { httpsFiles } from "../../embedded/lab/certificate.ts";
import { pulumi } from "../../embedded/lab/stack.ts";
import { ensureBrowser } from "../../embedded/toolchain/browser.ts";
import { probe } from "../../probe/probe.ts";
import { makeCertificate } from "../support/certificates.ts";
import { Browser } from "../support/e2e/browser.ts";
import { renewPicture } from "../support/e2e/docsPicture.ts";
import { type KubernetesObject, SMALL, TestLab } from "../support/e2e/harness.ts";
import { type Inventory, inventory, leaksSince } from "../support/e2e/inventory.ts";
import { picture } from "../support/e2e/picture.ts";
import { SOON } from "../support/e2e/soon.ts";
import { duringTraffic, type Sightings, trial } from "../support/e2e/trial.ts";

const lab = new TestLab("tls-test", { workers: 1 });
const { address } = lab.instance.loadBalancer;
const HOST = "nginx.hung.org.hk";
const PAGES = { v116: "v1.16.1", v117: "v1.17.9" };
const SECRET = "nginx-gateway-tls-default";
const GATEWAY_POD = "Pod istio-system istio-ingressgateway-";
const files = httpsFiles(lab.instance);
const securely = `https://${address}/echo/test.txt`;

let authority: string;
let before: Inventory;

beforeAll(async () => {
  await ensureBrowser();
  await lab.make(SMALL);
  authority = await readFile(files.authority, "utf8");
  before = await inventory(lab);
});
afterAll(() => lab.run("down", "--fast", "--quiet"));

describe("the certificate that a lab is given", () => {
  test("is for the host, its siblings and the load balancer's address", async () => {
    const certificate = new X509Certificate(await readFile(files.certificate));
    expect(certificate.verify(new X509Certificate(authority).publicKey)).toBe(true);
    expect(certificate.subjectAltName).toBe(`DNS:${HOST}, DNS:*.hung.org.hk, IP Address:${address}`);
  });

  test("has a key that its owner alone can read, and the authority's key is deleted", async () => {
    expect((await stat(files.key)).mode & 0o777).toBe(0o600);
    expect((await readdir(dirname(files.key))).sort()).toEqual(["ca.crt", "server.crt", "server.key"]);
  });

  test("is not in use before tls.mode is set: no process listens on port 443", async () => {
    expect(await verdictOn({})).toBe("ECONNREFUSED");
    expect(await gatewaySecrets()).toEqual([]);
  });
});

describe("https at the load balancer", () => {
  trial("is switched on, and no request on port 80 fails", async (seen) => {
    await lab.set({ "tls.mode": "terminate" });
    expect(await upDuringTraffic(seen)).toEqual([]);
    await expectVerified();
    expect(await gatewaySecrets()).toEqual([]);
    await lab.expectSplit({ v116: 50, v117: 50 });
  });

  test("and http both open in Chromium, which refuses the certificate where it is not pinned", async () => {
    const urls = [`http://${HOST}/echo/test.txt`, `https://${HOST}/echo/test.txt`];
    const hosts = { [HOST]: address };
    const pinned = await Browser.start({ hosts, pins: [await pinOf(files.certificate)] });
    const { png, texts } = await picture(pinned, urls).finally(() => pinned.close());
    for (const url of urls) expect([...new Set(texts[url])].sort()).toEqual(Object.values(PAGES));
    expect(png.length).toBeLessThanOrEqual(60_000);
    await renewPicture("browser.png", png);

    const plain = await Browser.start({ hosts });
    const refused = plain.open(urls[1] ?? "").finally(() => plain.close());
    await expect(refused).rejects.toThrow("net::ERR_CERT_AUTHORITY_INVALID");
  });

  trial("with a redirect from port 80 is reported by up, with a command that verifies it", async () => {
    await lab.set({ "tls.redirect": "true" });
    const said = await lab.run("up");
    expect(said).toContain(`https://${HOST}/echo/test.txt`);
    expect(said).toContain("split as configured");
    const curl = said.split("\n").find((line) => line.startsWith("curl ")) ?? "";
    expect(curl).toContain(`--cacert ${files.authority} `);
    if (await succeeds("curl", ["--version"]))
      expect(Object.values(PAGES)).toContain((await execa("sh", ["-c", curl])).stdout);
    const { statusCode, headers, body } = await request(lab.url, { headers: { host: HOST } });
    await body.dump();
    expect(statusCode).toBe(308);
    expect(headers.location).toBe(`https://${HOST}/echo/test.txt`);
  });

  trial("lets a shift of weights be measured, and no request fails", (seen) =>
    expectShift(seen, { v116: 90, v117: 10 }),
  );
});

describe("https at the gateway", () => {
  test("is refused before anything is touched, where the Secret is another owner's", async () => {
    await lab.unset("tls.redirect");
    await lab.up();
    await lab.set({ "tls.mode": "passthrough" });
    const metadata = { name: SECRET, namespace: "istio-system" };
    await lab.create({ apiVersion: "v1", kind: "Secret", metadata });
    const { exitCode, stdout, stderr } = await lab.try("pulumi", "preview");
    await lab.kubectl("delete", "secret", SECRET, "--namespace=istio-system");
    expect(stdout + stderr).toContain(
      `Secret ${SECRET} in namespace istio-system exists already and is not this stack's (field ` +
        "manager: kubectl-create)",
    );
    expect(exitCode).not.toBe(0);
  });

  trial("replaces https at the load balancer, and no request fails on either port", async (seen) => {
    expect(await upDuringTraffic(seen, { securely: authority })).toEqual([]);
    await expectVerified();
    expect(await gatewaySecrets()).toEqual([SECRET]);
    expect(await lab.run("ssh", "sudo ls /etc/haproxy")).not.toContain(".pem");
    await expectOwnAddress();
    await expectShift(seen, { v116: 50, v117: 50 });
  });

  trial("gets a new certificate, and no request fails", async (seen) => {
    const { certificate, key } = makeCertificate(HOST);
    await lab.set({ tlsCertificate: certificate });
    await pulumi(lab.instance, ["config", "set", "--secret", "tlsKey"], { input: key });
    expect(await upDuringTraffic(seen, { securely: authority + certificate })).toEqual([]);
    const { same: _, ...changed } = await lab.lastChanges();
    expect(changed).toEqual({ update: 1 });
    expect(await verdictOn({ ca: certificate })).toBe("the page");
    expect(await verdictOn({ ca: authority })).toMatch("certificate not trusted");
  });

  trial("goes again, no request on port 80 fails, and nothing is left of it", async (seen) => {
    await lab.unset("tls");
    expect(await upDuringTraffic(seen)).toEqual([]);
    expect(await verdictOn({})).toBe("ECONNREFUSED");
    // With TLS passed through, the gateway trusts no proxy. So its pods roll, and roll back.
    const ofGateway = (thing: string) => /^(Pod|ReplicaSet) istio-system istio-ingressgateway-/.test(thing);
    expect(await leaksSince(before, lab, seen, ofGateway)).toEqual({ leaks: [], missing: [] });
    const pods = () => lab.list("pods", "--namespace=istio-system", "--selector=istio=ingressgateway");
    const count = [...before].filter((thing) => thing.startsWith(GATEWAY_POD)).length;
    await expect.poll(async () => (await pods()).length, SOON).toBe(count);
    await lab.expectSplit({ v116: 50, v117: 50 });
  });
});

/**
 * Runs `pulumi up` with requests on port 80, and on 443 for a client with these authorities. @returns the
 * failures
 */
async function upDuringTraffic(seen: Sightings, { securely: ca }: { securely?: string } = {}) {
  const pages = Object.values(PAGES);
  if (ca === undefined) return duringTraffic(lab, seen, { pages }, () => lab.up());
  const failures: string[] = [];
  const plain = await duringTraffic(lab, seen, { pages }, async () => {
    failures.push(...(await duringTraffic(lab, seen, { pages, url: securely, ca }, () => lab.up())));
  });
  return [...plain.map((line) => `http: ${line}`), ...failures.map((line) => `https: ${line}`)];
}

/** The result of a verifying client: `the page`, or why it gets none. */
async function verdictOn({ host = HOST, ca = authority }): Promise<string> {
  const { failures } = await probe({ url: securely, host, ca, pages: PAGES, weights: {}, requests: 1 });
  return Object.keys(failures)[0] ?? "the page";
}

/**
 * Two verifying clients, Node and OpenSSL, accept the host, the lab's authority and today's TLS, and nothing
 * else.
 */
async function expectVerified(): Promise<void> {
  expect(await verdictOn({})).toBe("the page");
  expect(await verdictOn({ ca: makeCertificate(HOST).certificate })).toMatch("certificate not trusted");
  // HAProxy has one certificate for all names. The gateway closes the connection for a name that it does not
  // let in.
  expect(await verdictOn({ host: "nginx.example.org" })).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID|ECONNRESET/);
  for (const version of ["1_2", "1_3"])
    expect(await handshake(version, files.authority)).toContain(`New, TLSv${version.replace("_", ".")}`);
  expect(await handshake("1_1", files.authority)).toContain("alert protocol version");
  expect(await handshake("1_3", files.certificate)).toContain("unable to get local issuer certificate");
}

/** The output of OpenSSL. With SECLEVEL=0 it offers old versions of TLS too. */
async function handshake(version: string, ca: string): Promise<string> {
  const server = ["-connect", `${address}:443`, "-servername", HOST, "-verify_hostname", HOST];
  const offer = [`-tls${version}`, "-cipher", "DEFAULT@SECLEVEL=0"];
  const options = [...server, ...offer, "-CAfile", ca, "-no-CApath", "-verify_return_error"];
  const { all } = await execa("openssl", ["s_client", ...options], { input: "", all: true, reject: false });
  return all;
}

/** Shifts the weights over https: no request fails, and the times are from the gateway's access log. */
async function expectShift(seen: Sightings, weights: Record<"v116" | "v117", number>): Promise<void> {
  const words = Object.entries(weights).map(([version, weight]) => `${version}=${weight}`);
  const { shift } = JSON.parse(await lab.run("shift", "--json", ...words)) as {
    shift: { times: { method: string }; requests: number; failed: number };
  };
  seen.requests += shift.requests;
  seen.failed += shift.failed;
  expect(shift).toMatchObject({ times: { method: "access log" }, failed: 0 });
  await lab.expectSplit(weights);
}

/** The gateway's access log has each request under its client's own address, on both ports. */
async function expectOwnAddress(): Promise<void> {
  const log = async () => {
    const pods = ["--namespace=istio-system", "--selector=istio=ingressgateway"];
    return (await lab.kubectl("logs", ...pods, "--tail=-1", "--prefix=false")).split("\n");
  };
  for (const [index, url] of [lab.url, securely].entries()) {
    const path = `/echo/test.txt?own=${index}`;
    await probe({
      url: url.replace("/echo/test.txt", path),
      host: HOST,
      ca: authority,
      pages: PAGES,
      weights: {},
      requests: 1,
    });
    const line = async () => (await log()).find((line) => line.includes(path)) ?? "";
    await expect.poll(line, SOON).toContain(` ${lab.instance.gateway}:`);
  }
}

/** Names of the Secrets beside the gateway that hold a certificate for it. */
async function gatewaySecrets(): Promise<string[]> {
  const secrets = await lab.list<KubernetesObject & { type: string }>("secrets", "--namespace=istio-system");
  return secrets.filter(({ type }) => type === "kubernetes.io/tls").map(({ metadata }) => metadata.name);
}

/** SHA-256 of the public key, in Chromium's form. */
async function pinOf(file: string): Promise<string> {
  const { publicKey } = new X509Certificate(await readFile(file));
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("base64");
}

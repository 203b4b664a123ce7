// Kubeconfigs as other tools write them: a real kubectl reaches a real HTTPS server with each.
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { KubernetesApi } from "../../../clients/kubernetes.ts";
import { type Authority, makeAuthority } from "../../support/authority.ts";
import { findKubectl } from "../../support/kubectl.ts";
import { socksProxy } from "../../support/socksProxy.ts";

const KUBECTL = findKubectl();

/** Which user the server sees, and which path is requested. */
interface Seen {
  readonly user: string;
  readonly path: string;
}

let authority: Authority;
let server: Server;
let url = "";
const seen: Seen[] = [];

beforeAll(async () => {
  authority = makeAuthority();
  server = await authority.serve((request, response) => {
    const certificate = (request.socket as TLSSocket).getPeerCertificate();
    const user =
      request.headers.authorization ?? (certificate.subject ? `CN ${certificate.subject.CN}` : "none");
    seen.push({ user, path: request.url ?? "" });
    response
      .writeHead(200, { "content-type": "application/json", "audit-id": "1" })
      .end('{"gitVersion":"v1"}');
  });
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

let home = "";
beforeEach(() => {
  seen.length = 0;
  home = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
  symlinkSync(KUBECTL, join(home, "kubectl"));
  vi.stubEnv("PATH", `${home}:/usr/bin:/bin`);
  vi.stubEnv("HOME", home);
  vi.stubEnv("KUBECONFIG", undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

const base64 = (text: string) => Buffer.from(text).toString("base64");

interface Parts {
  readonly server?: string;
  /** YAML of the cluster, besides its server. */
  readonly cluster?: string;
  readonly user?: string;
  readonly context?: string;
}

/** Writes a kubeconfig, as YAML. */
function kubeconfig(parts: Parts = {}, name = "kubeconfig"): string {
  const { context = "c", user = "{token: good}" } = parts;
  const cluster = parts.cluster ?? `certificate-authority-data: ${base64(authority.root)}`;
  const file = join(home, name);
  writeFileSync(
    file,
    `apiVersion: v1
kind: Config
current-context: ${context}
contexts: [{name: ${context}, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "${parts.server ?? url}", ${cluster}}}]
users: [{name: u, user: ${user}}]
`,
  );
  return file;
}

/** What the server saw of one request. */
async function reach(
  selection: { kubeconfig?: string; context?: string },
  onNotice?: (line: string) => void,
) {
  const api = await KubernetesApi.connect(selection, { onNotice });
  try {
    await api.get("/version");
    return seen.at(-1);
  } finally {
    await api.close();
  }
}

const plugin = (rest: string, command = "sh") =>
  `{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable, command: ${command}, ${rest}}}`;
const credential = JSON.stringify({
  apiVersion: "client.authentication.k8s.io/v1",
  kind: "ExecCredential",
  status: { token: "of-the-plugin" },
});

describe("is read as kubectl reads it", () => {
  it.each<[string, () => Parts, string]>([
    [
      "null in place of nothing",
      () => ({ user: "{token: good, auth-provider: null, exec: null}" }),
      "Bearer good",
    ],
    [
      "a plugin without arguments and environment: null",
      () => {
        writeFileSync(join(home, "login"), `#!/bin/sh\necho '${credential}'\n`, { mode: 0o755 });
        return { user: plugin("args: null, env: null", "login") };
      },
      "Bearer of-the-plugin",
    ],
    [
      "an empty certificate beside a token",
      () => ({ user: '{client-certificate-data: "", client-key-data: "", token: good}' }),
      "Bearer good",
    ],
    [
      "an empty token beside a file of it",
      () => {
        writeFileSync(join(home, "token"), "of-the-file\n");
        return { user: `{token: "", tokenFile: ${join(home, "token")}}` };
      },
      "Bearer of-the-file",
    ],
    [
      "a client's certificate",
      () => ({
        user: `{client-certificate-data: ${base64(authority.client.certificate)}, client-key-data: ${base64(authority.client.key)}}`,
      }),
      "CN client",
    ],
    ["a context named 2026, as kubectl writes it", () => ({ context: '"2026"' }), "Bearer good"],
    [
      "an authority that is an intermediate one",
      () => ({ cluster: `certificate-authority-data: ${base64(authority.intermediate)}` }),
      "Bearer good",
    ],
    [
      "an authority at a path relative to the kubeconfig",
      () => {
        writeFileSync(join(home, "ca.crt"), authority.root);
        return { cluster: "certificate-authority: ca.crt" };
      },
      "Bearer good",
    ],
    [
      "an authority of the system only, data null",
      () => {
        writeFileSync(join(home, "system.crt"), authority.root);
        vi.stubEnv("SSL_CERT_FILE", join(home, "system.crt"));
        return { cluster: "certificate-authority-data: null" };
      },
      "Bearer good",
    ],
    ["no verification", () => ({ cluster: "insecure-skip-tls-verify: true" }), "Bearer good"],
    [
      "auth-provider oidc with a token that is good",
      () => {
        const claims = base64(JSON.stringify({ exp: Math.floor(Date.now() / 1000) + 3600 }));
        const config = `{client-id: c, idp-issuer-url: "https://issuer.test", id-token: e30.${claims.replace(/=+$/, "")}.x}`;
        return { user: `{auth-provider: {name: oidc, config: ${config}}}` };
      },
      "Bearer e30.",
    ],
  ])("%s", async (_, parts, user) => {
    expect((await reach({ kubeconfig: kubeconfig(parts()) }))?.user).toContain(user);
  });

  it("an API server below a path, as Rancher has it", async () => {
    const file = kubeconfig({ server: `${url}/k8s/clusters/c-1` });
    expect((await reach({ kubeconfig: file }))?.path).toBe("/k8s/clusters/c-1/version");
  });

  it("KUBECONFIG of several files, one of them missing; the first entry of a name counts", async () => {
    const files = [join(home, "none"), kubeconfig({}, "one"), kubeconfig({ user: "{token: second}" }, "two")];
    vi.stubEnv("KUBECONFIG", files.join(delimiter));
    expect((await reach({}))?.user).toBe("Bearer good");
  });

  it("a kubeconfig that is given as text", async () => {
    const { readFileSync } = await import("node:fs");
    const text = readFileSync(kubeconfig(), "utf8");
    expect((await reach({ kubeconfig: text }))?.user).toBe("Bearer good");
  });

  it("~ in a path", async () => {
    kubeconfig();
    expect((await reach({ kubeconfig: "~/kubeconfig" }))?.user).toBe("Bearer good");
  });
});

describe("proxies", () => {
  it("proxy-url socks5 is used", async () => {
    const { proxy, port, targets } = await socksProxy();
    const cluster = `certificate-authority-data: ${base64(authority.root)}, proxy-url: "socks5://127.0.0.1:${port}"`;
    expect((await reach({ kubeconfig: kubeconfig({ cluster }) }))?.user).toBe("Bearer good");
    expect(targets).toEqual([new URL(url).host]);
    proxy.close();
  });

  it("NO_PROXY with a network leaves the proxy out", async () => {
    // Nothing answers at this address: the error shows which way the request took.
    vi.stubEnv("HTTPS_PROXY", "http://127.0.0.1:1");
    vi.stubEnv("NO_PROXY", "");
    const file = kubeconfig({ server: "https://192.0.2.1:6443" });
    await expect(reach({ kubeconfig: file })).rejects.toThrow(/proxyconnect tcp: dial tcp 127\.0\.0\.1:1/);
    vi.stubEnv("NO_PROXY", "192.0.2.0/24");
    const direct = await KubernetesApi.connect({ kubeconfig: file }, { answerMs: 1000 });
    await expect(direct.get("/version")).rejects.not.toThrow(/proxyconnect/);
    await direct.close();
  });
});

describe("credential plugins", () => {
  it("are waited for, and what they print for the user arrives meanwhile", async () => {
    // It ends when its user has acted, here by making a file.
    const body = `echo "enter ABCD at https://login.test" >&2; until [ -e ${join(home, "done")} ]; do sleep 0.05; done; echo '${credential}'`;
    writeFileSync(join(home, "login"), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    const lines: string[] = [];
    const reached = reach({ kubeconfig: kubeconfig({ user: plugin("args: []", "login") }) }, (line) => {
      lines.push(line);
      writeFileSync(join(home, "done"), "");
    });
    expect((await reached)?.user).toBe("Bearer of-the-plugin");
    expect(lines).toEqual(["enter ABCD at https://login.test"]);
  });

  it("that fail give their own words, without codes for a terminal", async () => {
    const user = plugin(`args: ["-c", "printf '\\\\033[31mno account\\\\033[0m\\\\n' >&2; exit 3"]`);
    await expect(reach({ kubeconfig: kubeconfig({ user }) })).rejects.toMatchObject({
      name: "NoAnswer",
      kind: "credentials",
      message: "getting credentials: exec: executable sh failed with exit code 3: no account",
    });
  });
});

describe("what kubectl refuses is refused in its words", () => {
  it.each<[string, Parts, object]>([
    [
      "a kind of log-on that was removed",
      { user: "{auth-provider: {name: gcp}}" },
      {
        kind: "kubeconfig",
        message: expect.stringMatching(/The gcp auth plugin has been removed.*gke-gcloud-auth-plugin/),
      },
    ],
    ["a certificate without its key", { user: "{client-certificate-data: eA==}" }, { kind: "kubeconfig" }],
    [
      "a name that is a number",
      { context: "2026" },
      { kind: "kubeconfig", message: expect.stringContaining("cannot unmarshal number") },
    ],
    ["no credentials", { user: "{}" }, { kind: "no-credentials" }],
    [
      "the authority of another cluster",
      { cluster: "" },
      { name: "NoAnswer", kind: "untrusted", message: expect.stringContaining("x509") },
    ],
  ])("%s", async (_, parts, error) => {
    await expect(reach({ kubeconfig: kubeconfig(parts) })).rejects.toMatchObject(error);
  });
});

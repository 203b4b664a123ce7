// Kubeconfigs in the form of other tools: a real kubectl reaches a real HTTPS server with each.
import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { KubernetesApi } from "../../../clients/kubernetes.ts";
import {
  authority,
  base64,
  credential,
  home,
  kubeconfig,
  type Parts,
  plugin,
  reach,
  url,
} from "../../support/kubeconfigs.ts";
import { socksProxy } from "../../support/socksProxy.ts";

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
        user:
          `{client-certificate-data: ${base64(authority.client.certificate)}, client-key-data: ` +
          `${base64(authority.client.key)}}`,
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
      "files of the user at paths relative to the kubeconfig",
      () => {
        writeFileSync(join(home, "client.crt"), authority.client.certificate);
        writeFileSync(join(home, "client.key"), authority.client.key);
        return { user: "{client-certificate: client.crt, client-key: ./client.key}" };
      },
      "CN client",
    ],
    [
      "a plugin at a path relative to the kubeconfig",
      () => {
        writeFileSync(join(home, "login"), `#!/bin/sh\necho '${credential}'\n`, { mode: 0o755 });
        return { user: plugin("args: []", "./login") };
      },
      "Bearer of-the-plugin",
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
        const config =
          '{client-id: c, idp-issuer-url: "https://issuer.test", id-token: ' +
          `e30.${claims.replace(/=+$/, "")}.x}`;
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
    const cluster =
      `certificate-authority-data: ${base64(authority.root)}, ` + `proxy-url: "socks5://127.0.0.1:${port}"`;
    expect((await reach({ kubeconfig: kubeconfig({ cluster }) }))?.user).toBe("Bearer good");
    expect(targets).toEqual([new URL(url).host]);
    proxy.close();
  });

  it("NO_PROXY with a network leaves the proxy out", async () => {
    // Nothing answers at this address. The error shows the way of the request.
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
  it("are waited for; their lines for the user arrive during the wait", async () => {
    // It ends when its user has acted, here by the creation of a file.
    const body =
      `echo "enter ABCD at https://login.test" >&2; until [ -e ${join(home, "done")} ]; do sleep 0.05; ` +
      `done; echo '${credential}'`;
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

describe("a refusal of kubectl is an error in kubectl's words", () => {
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

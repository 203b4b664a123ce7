/** Kubeconfigs in the forms of other tools, and a real HTTPS server that a real kubectl reaches with each. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, vi } from "vitest";
import { KubernetesApi } from "../../clients/kubernetes.ts";
import { type Authority, makeAuthority } from "./authority.ts";
import { findKubectl } from "./kubectl.ts";

const KUBECTL = findKubectl();

/** The user that the server sees, and the requested path. */
interface Seen {
  readonly user: string;
  readonly path: string;
}

export let authority: Authority;
let server: Server;
export let url = "";
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

/** HOME and the only directory of PATH besides the system's, new for each test. */
export let home = "";
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

export const base64 = (text: string) => Buffer.from(text).toString("base64");

export interface Parts {
  readonly server?: string;
  /** YAML of the cluster, besides its server. */
  readonly cluster?: string;
  readonly user?: string;
  readonly context?: string;
}

/** Writes a kubeconfig, as YAML. */
export function kubeconfig(parts: Parts = {}, name = "kubeconfig"): string {
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
export async function reach(
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

/** A user who logs on by a credential plugin. */
export const plugin = (rest: string, command = "sh") =>
  "{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable, command: " +
  `${command}, ${rest}}}`;
/** The output of a credential plugin. */
export const credential = JSON.stringify({
  apiVersion: "client.authentication.k8s.io/v1",
  kind: "ExecCredential",
  status: { token: "of-the-plugin" },
});

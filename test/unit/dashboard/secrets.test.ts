/** No secret of a stack, of a kubeconfig or of the cluster reaches what the dashboard serves. */
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { KubernetesApi } from "../../../clients/kubernetes.ts";
import { type Dashboard, startDashboard } from "../../../dashboard/dashboard.ts";
import { startForward } from "../../../dashboard/forward.ts";
import { queriesOf } from "../../../dashboard/measure.ts";
import { proxyPath, Source } from "../../../dashboard/source.ts";
import { observedOf } from "../../../dashboard/stack.ts";
import type { Outputs } from "../../../outputs.ts";
import { makeAuthority } from "../../support/authority.ts";
import { kubeconfigOf, type Paths } from "../../support/clusterServer.ts";

const PROMETHEUS = {
  namespace: "observe",
  service: "prometheus",
  port: 9090,
  scrapeSeconds: 2,
  gateway: "g",
};
const SECRET = "hidden-0123456789";
const secret = (what: string) => `${SECRET}-${what}`;

/** Outputs with more in them than today's: secrets of settings, as an older or a changed program may have. */
const OUTPUTS = {
  monitoring: PROMETHEUS,
  tracing: null,
  namespace: "shop",
  versionLabels: { v116: "1.16" },
  url: "http://shop/",
  kubeconfig: secret("kubeconfig"),
  loadBalancerPrivateKey: secret("private key"),
  hostKey: secret("host key"),
  stats: { password: secret("password of the statistics page") },
  tls: { key: secret("TLS key") },
} as unknown as Outputs;

const QUERY = `${proxyPath(PROMETHEUS)}/api/v1/query`;
const AGE = `${QUERY}?query=${encodeURIComponent(queriesOf({ namespace: "shop" }, 10).age)}`;
const NOTHING = { status: "success", data: { result: [] } };
const annotations = { note: secret("annotation") };

const paths: Paths = {
  "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/nginx": {
    metadata: { name: "nginx", annotations },
    spec: { http: [{ route: [{ destination: { host: "s", subset: "v116" }, weight: 100 }] }] },
  },
  "/apis/apps/v1/namespaces/shop/deployments": {
    items: [
      {
        metadata: { name: "nginx-v116", annotations },
        spec: { replicas: 1, template: { spec: { containers: [{ env: [{ value: secret("env") }] }] } } },
        status: { readyReplicas: 1 },
      },
    ],
  },
  [AGE]: { status: "success", data: { result: [{ metric: {}, value: [0, "0"] }] } },
  [QUERY]: NOTHING,
  [`${proxyPath(PROMETHEUS)}/api/v1/query_range`]: NOTHING,
  [`${proxyPath(PROMETHEUS)}/api/v1/alerts`]: { status: "success", data: { alerts: [] } },
};

const open: Dashboard[] = [];
const apis: KubernetesApi[] = [];
const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
  await Promise.all(apis.splice(0).map((each) => each.close()));
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

const authority = makeAuthority();

/** A connection over the real `kubectl proxy`, whose kubeconfig has a token. */
async function connected(answers: Paths) {
  const tokens: (string | undefined)[] = [];
  const server = await authority.serve((request, response) => {
    tokens.push(request.headers.authorization);
    const found = answers[request.url ?? ""] ?? answers[request.url?.split("?")[0] ?? ""] ?? 404;
    const status = typeof found === "number" ? found : 200;
    const cookie = { "set-cookie": `session=${secret("cookie")}` };
    response
      .writeHead(status, { "content-type": "application/json", "audit-id": "1", ...cookie })
      .end(JSON.stringify(typeof found === "number" ? { kind: "Status", message: "no" } : found));
  });
  servers.push(server);
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const trusted = { "certificate-authority-data": Buffer.from(authority.root).toString("base64") };
  const kubeconfig = kubeconfigOf(url, { token: secret("token") }, trusted);
  const api = await KubernetesApi.connect({ kubeconfig });
  apis.push(api);
  return { api, tokens, kubeconfig };
}

async function textsOf(url: string, ...files: string[]): Promise<string> {
  const texts = files.map(async (file) => {
    const response = await fetch(new URL(file, url));
    return `${JSON.stringify([...response.headers])}${await response.text()}`;
  });
  return (await Promise.all(texts)).join("\n");
}

test.each([
  ["a picture", paths, '"ready":1'],
  ["an API server that refuses", {}, "there is no VirtualService"],
  ["a Prometheus that fails", { ...paths, [AGE]: 503 }, "does not answer"],
])("%s: no secret in any file, header or error", async (_, answers, proof) => {
  const { api, tokens, kubeconfig } = await connected(answers);
  const { versionLabels, zipkin: __, ...args } = observedOf(OUTPUTS, "http://shop/");
  const source = new Source({ ...args, api, versions: Object.keys(versionLabels), links: [] });
  const dashboard = await startDashboard({ port: 0, measure: (signal) => source.picture(signal) });
  open.push(dashboard);
  const json = () => textsOf(dashboard.url, "picture.json");
  await expect.poll(json, { timeout: 10_000 }).toContain(proof);
  const all = await textsOf(
    dashboard.url,
    "/",
    "page.ts",
    "graph.ts",
    "tables.ts",
    "missing",
    "picture.json",
  );
  expect(all).not.toContain(SECRET);
  expect(all).not.toContain(kubeconfig);
  // The token was in use during all of this.
  expect(tokens).toContain(`Bearer ${secret("token")}`);
});

test("the pages of other programs come without the token and without cookies", async () => {
  const { api, tokens } = await connected({ [`${proxyPath(PROMETHEUS)}/graph`]: { page: 1 } });
  const forward = await startForward({ api, service: PROMETHEUS, port: 0 });
  open.push(forward);
  expect(await textsOf(forward.url, "graph", "missing")).not.toContain(SECRET);
  const { headers } = await fetch(new URL("graph", forward.url));
  expect([headers.get("x-frame-options"), headers.get("set-cookie")]).toEqual(["DENY", null]);
  expect(tokens).toContain(`Bearer ${secret("token")}`);
});

/** Credentials that run out while the dashboard runs, over the real `kubectl proxy`. */
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { KubernetesApi } from "../../../clients/kubernetes.ts";
import { startDashboard } from "../../../dashboard/dashboard.ts";
import { queriesOf } from "../../../dashboard/measure.ts";
import type { Picture } from "../../../dashboard/picture.ts";
import { Source } from "../../../dashboard/source.ts";
import { makeAuthority } from "../../support/authority.ts";
import { kubeconfigOf } from "../../support/clusterServer.ts";

const PROMETHEUS = { namespace: "observe", service: "prometheus", port: 9090 };
const VIRTUAL_SERVICE = { spec: { http: [{ route: [{ destination: { subset: "v116" }, weight: 100 }] }] } };

/** Prometheus' answer to any query; the age of the newest sample is 0 s. */
function answerTo(path: string): object {
  if (path.includes("/virtualservices/")) return { metadata: { name: "nginx" }, ...VIRTUAL_SERVICE };
  if (path.includes("/deployments")) return { items: [] };
  const expression = new URL(path, "http://x").searchParams.get("query");
  const isAge = expression === queriesOf({ namespace: "shop" }, 10).age;
  return { status: "success", data: { result: isAge ? [{ metric: {}, value: [0, "0"] }] : [] } };
}

/** The dashboard beside an API server that accepts what the function accepts. */
async function dashboardWith(user: object, accepts: (token: string) => boolean) {
  const authority = makeAuthority();
  const used = new Set<string>();
  const server = await authority.serve(({ url = "", headers }, response) => {
    const token = headers.authorization?.replace("Bearer ", "") ?? "";
    const good = accepts(token);
    if (good) used.add(token);
    response
      .writeHead(good ? 200 : 401, { "content-type": "application/json", "audit-id": "1" })
      .end(JSON.stringify(good ? answerTo(url) : { kind: "Status", message: "Unauthorized" }));
  });
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const trusted = { "certificate-authority-data": Buffer.from(authority.root).toString("base64") };
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const api = await KubernetesApi.connect({ kubeconfig: kubeconfigOf(url, user, trusted) });
  const source = new Source({
    ...{ api, url: "http://shop/", namespace: "shop", versions: ["v116"], links: [] },
    ...{ prometheus: PROMETHEUS, scrapeSeconds: 2 },
  });
  const dashboard = await startDashboard({ port: 0, measure: (signal) => source.picture(signal) });
  onTestFinished(async () => {
    await dashboard.close();
    await api.close();
  });
  const newest = async () =>
    (await (await fetch(`${dashboard.url}picture.json`)).json()) as { picture?: Picture; problem?: string };
  return { used, newest };
}

test("a plugin's token that runs out after a second is renewed, again and again", async () => {
  const script =
    `until=$(date -u -d '+1 second' +%Y-%m-%dT%H:%M:%SZ); printf '{"apiVersion":"%s","kind":"ExecCredential",` +
    `"status":{"token":"%s","expirationTimestamp":"%s"}}' client.authentication.k8s.io/v1 "$(date +%s%N)" "$until"`;
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    interactiveMode: "Never",
    ...{ command: "sh", args: ["-c", script] },
  };
  // A token is its own moment of issue, in nanoseconds.
  const isFresh = (token: string) => Date.now() - Number(token) / 1e6 < 5000;
  const { used, newest } = await dashboardWith({ exec }, isFresh);
  const renewed = async () => {
    const { picture, problem } = await newest();
    const first = Number([...used][0] ?? 0) / 1e6;
    return used.size > 3 && problem === undefined && (picture?.at ?? 0) - first > 5000;
  };
  await expect.poll(renewed, { timeout: 25_000, interval: 200 }).toBe(true);
});

test("a token of the kubeconfig itself that runs out: the page says the way out, and keeps the picture", async () => {
  let valid = true;
  const { newest } = await dashboardWith({ token: "mine" }, () => valid);
  await expect
    .poll(async () => (await newest()).picture?.versions[0]?.name, { timeout: 10_000 })
    .toBe("v116");
  valid = false;
  await expect
    .poll(async () => (await newest()).problem, { timeout: 10_000 })
    .toContain("log on again, then start the dashboard again");
  expect((await newest()).picture).toBeDefined();
});

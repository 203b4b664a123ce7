/** Tests of components/webApp/webApp.ts. */
import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it } from "vitest";
import { WebApp } from "../../../../components/webApp/webApp.ts";
import { find, settled, startMocks } from "../../../support/mocks.ts";

afterEach(() => pulumi.runtime.disconnect());

const OWNER = "organization/istio-lab/dev";

const VERSIONS = [
  { name: "v116", version: "1.16", image: "nginx:1.16.1", replicas: 3, page: "v1.16.1\n" },
  { name: "v117", version: "1.17", image: "nginx:1.17.9", replicas: 2, page: "v1.17.9\n" },
];

describe("WebApp", () => {
  it("is the article's", async () => {
    const resources = await startMocks();
    const app = new WebApp("nginx", { namespace: "default", versions: VERSIONS, owner: OWNER });
    expect(await settled(app.service)).toBe("nginx-svc");
    await pulumi.runtime.disconnect();
    expect(find(resources, "nginx-pages").inputs).toMatchObject({
      metadata: {
        name: "nginx-static-files",
        namespace: "default",
        annotations: { "istio-lab/owner": OWNER },
      },
      data: { v116: "v1.16.1\n", v117: "v1.17.9\n" },
    });
    expect(find(resources, "nginx", "Service").inputs).toMatchObject({
      metadata: {
        name: "nginx-svc",
        labels: { service: "nginx" },
        annotations: { "istio-lab/owner": OWNER, "pulumi.com/skipAwait": "true" },
      },
      spec: {
        selector: { app: "nginx" },
        ports: [
          { name: "http", protocol: "TCP", port: 80 },
          { name: "https", protocol: "TCP", port: 443 },
        ],
      },
    });
    expect(find(resources, "nginx-v117").inputs).toMatchObject({
      metadata: { name: "nginx-v117", namespace: "default", annotations: { "istio-lab/owner": OWNER } },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: "nginx", version: "1.17" } },
        template: {
          metadata: { labels: { app: "nginx", version: "1.17" } },
          spec: {
            containers: [
              {
                image: "nginx:1.17.9",
                readinessProbe: { httpGet: { path: "/echo/test.txt", port: 80 }, periodSeconds: 1 },
                volumeMounts: [{ name: "page", mountPath: "/usr/share/nginx/html/echo" }],
              },
            ],
            volumes: [
              {
                name: "page",
                configMap: { name: "nginx-static-files", items: [{ key: "v117", path: "test.txt" }] },
              },
            ],
          },
        },
      },
    });
  });

  it("selects no pod twice", async () => {
    const resources = await startMocks();
    new WebApp("nginx", { namespace: "default", versions: VERSIONS, owner: OWNER });
    await pulumi.runtime.disconnect();
    const selectors = ["nginx-v116", "nginx-v117"].map(
      (name) => find(resources, name).inputs.spec.selector.matchLabels,
    );
    expect(new Set(selectors.map(({ version }) => version)).size).toBe(2);
  });

  it("limits how long a deletion waits, longer where pods have to end", async () => {
    const resources = await startMocks();
    new WebApp("nginx", { namespace: "default", versions: VERSIONS, owner: OWNER });
    await pulumi.runtime.disconnect();
    const limits = ["nginx-pages", "nginx-v116", "nginx-v117"].map(
      (name) => find(resources, name).deletionLimit,
    );
    expect(limits).toEqual(["30s", "3m", "3m"]);
  });

  it("never goes below its replicas in a rollout", async () => {
    const resources = await startMocks();
    new WebApp("nginx", { namespace: "default", versions: VERSIONS, owner: OWNER });
    await pulumi.runtime.disconnect();
    expect(find(resources, "nginx-v116").inputs.spec.strategy.rollingUpdate).toEqual({
      maxSurge: 1,
      maxUnavailable: 0,
    });
  });
});

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Properties, Secret, UNKNOWN } from "../../../../../embedded/plugins/values.ts";
import { FakeApiServer } from "../../../../support/fakeApiServer.ts";
import { type CallError, Plugin, urn } from "../../../../support/pluginHarness.ts";

const CONFIG_MAP = urn("kubernetes:core/v1:ConfigMap", "page");
const DEPLOYMENT = urn("kubernetes:apps/v1:Deployment", "web");
const PATCH = urn("kubernetes:core/v1:NamespacePatch", "label");
const SECRET = urn("kubernetes:core/v1:Secret", "s");
const SERVICE = urn("kubernetes:core/v1:Service", "svc");
const WIDGET = urn("kubernetes:x.io/v1:Widget", "w");

const configMap: Properties = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "page" },
  data: { a: "1" },
};
const deployment: Properties = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: { replicas: 2, selector: { matchLabels: { app: "web" } } },
};
const label: Properties = {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: "default", labels: { "istio-injection": "enabled" } },
};
const widget: Properties = {
  apiVersion: "x.io/v1",
  kind: "Widget",
  metadata: { name: "w" },
  spec: { weight: 50 },
};
const widgetKind = { apiVersion: "x.io/v1", kind: "Widget", plural: "widgets", namespaced: true };

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";
const SERVICES = "/api/v1/namespaces/default/services";
const WIDGETS = "/apis/x.io/v1/namespaces/default/widgets";

let api: FakeApiServer;
let plugin: Plugin;

beforeAll(async () => {
  [api, plugin] = await Promise.all([FakeApiServer.start(), Plugin.start("kubernetes/kubernetes.ts")]);
});
beforeEach(async () => {
  api.reset();
  await plugin.configure({ kubeconfig: api.kubeconfig });
});
afterAll(async () => {
  expect(await plugin.stop()).toBe(0);
  api.stop();
});

const writes = () => api.requests.filter(({ method }) => method !== "GET");
const diff = (which: string, before: Properties, after: Properties) =>
  plugin.diff(which, { id: "x", olds: before, oldInputs: before, news: after });

describe("create", () => {
  test("posts the object, as whom the kubeconfig says, and returns it as it is with the id of the official provider", async () => {
    const { id, outputs } = await plugin.create(CONFIG_MAP, configMap);
    expect(id).toBe("default/page");
    expect(outputs).toMatchObject({
      kind: "ConfigMap",
      metadata: { name: "page", namespace: "default", resourceVersion: expect.any(String) },
      __inputs: configMap,
      __fieldManager: expect.stringMatching(/^pulumi-kubernetes-[0-9a-f]{8}$/),
    });
    expect(writes()).toMatchObject([
      {
        method: "POST",
        path: CONFIG_MAPS,
        authorization: "Bearer t0ken",
        query: { fieldManager: "pulumi-kubernetes" },
      },
    ]);
  });

  test("is refused for an object that somebody else made", async () => {
    api.put(`${CONFIG_MAPS}/page`, configMap as never);
    await expect(plugin.create(CONFIG_MAP, configMap)).rejects.toThrow(
      /was not successfully created by the Kubernetes API server: configmaps "page" already exists\n\nThe resource already/,
    );
    const { outputs } = await plugin.create(CONFIG_MAP, configMap, { preview: true });
    expect(outputs).toEqual(configMap);
  });

  test("takes over what exists where the program says so, and owns its fields", async () => {
    await plugin.configure({ kubeconfig: api.kubeconfig, upsertExistingObjects: "true" });
    api.put(`${CONFIG_MAPS}/page`, {
      ...configMap,
      metadata: { name: "page", namespace: "default" },
      data: { text: "old" },
    } as never);
    const { id, outputs } = await plugin.create(CONFIG_MAP, configMap);
    expect(id).toBe("default/page");
    expect(outputs).toMatchObject({ data: configMap.data });
    const { __fieldManager: fieldManager } = outputs as Properties;
    expect(writes().at(-1)).toMatchObject({ method: "PATCH", query: { fieldManager } });
  });

  test("of a custom resource waits for its kind, and previews without it", async () => {
    expect((await plugin.create(WIDGET, widget, { preview: true })).outputs).toEqual(widget);
    const creation = plugin.create(WIDGET, widget);
    await expect
      .poll(() => plugin.log.map(({ text }) => text))
      .toContainEqual(expect.stringMatching(/^Retry #1/));
    api.define(widgetKind);
    expect((await creation).id).toBe("default/w");
  });

  test("of a kind that does not come fails and says so", async () => {
    await expect(plugin.create(WIDGET, widget, { timeout: 0.1 })).rejects.toThrow(
      /apiVersion for this resource does not exist.*no matches for kind "Widget" in version "x.io\/v1"/,
    );
  });

  test("as a preview is a dry run, or nothing where something is not known yet", async () => {
    const { outputs } = await plugin.create(CONFIG_MAP, configMap, { preview: true });
    expect(outputs).toMatchObject({ metadata: { namespace: "default" } });
    expect(writes()).toMatchObject([{ query: { dryRun: "All" } }]);
    expect(api.get(`${CONFIG_MAPS}/page`)).toBeUndefined();
    const unknown = { ...configMap, data: { a: UNKNOWN } };
    expect((await plugin.create(CONFIG_MAP, unknown, { preview: true })).outputs).toEqual(unknown);
    expect(writes()).toHaveLength(1);
  });

  test("keeps what is secret, and all of a Secret", async () => {
    const hidden = { ...configMap, data: { a: new Secret("x"), b: "y" } };
    const { outputs } = await plugin.create(CONFIG_MAP, hidden);
    expect(outputs.data).toEqual({ a: new Secret("x"), b: "y" });
    expect(outputs.__inputs).toMatchObject({ data: { a: new Secret("x") } });
    const { inputs } = await plugin.check(SECRET, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "s" },
      stringData: { k: "plain" },
    });
    expect(inputs).toMatchObject({ data: new Secret({ k: "cGxhaW4=" }) });
    expect((await plugin.create(SECRET, inputs)).outputs.data).toEqual(new Secret({ k: "cGxhaW4=" }));
  });

  test("without a cluster fails and names it; a preview does not", async () => {
    await plugin.configure({ kubeconfig: api.kubeconfig.replace(/127.0.0.1:\d+/, "127.0.0.1:1") });
    await expect(plugin.create(CONFIG_MAP, configMap)).rejects.toThrow(
      /configured Kubernetes cluster is unreachable: http:\/\/127.0.0.1:1/,
    );
    expect((await plugin.create(CONFIG_MAP, configMap, { preview: true })).outputs).toEqual(configMap);
  });
});

describe("a Deployment", () => {
  const status = (available: number, generation = 1) => ({
    observedGeneration: generation,
    replicas: available,
    updatedReplicas: available,
    availableReplicas: available,
    conditions: [{ type: "Available", status: "True" }],
  });
  const rollOut = (state: object) =>
    api.put(`${DEPLOYMENTS}/web`, { ...api.get(`${DEPLOYMENTS}/web`), status: state } as never);
  const watched = () => expect.poll(() => api.requests.some(({ query }) => query.watch === "true"));

  test("is there when its rollout is done", async () => {
    const creation = plugin.create(DEPLOYMENT, deployment);
    await watched().toBe(true);
    rollOut(status(1));
    rollOut(status(2, 0));
    rollOut(status(2));
    const { outputs } = await creation;
    expect(outputs.status).toMatchObject({ availableReplicas: 2, observedGeneration: 1 });
    expect(plugin.log.map(({ text }) => text)).toContain(
      "Waiting for app ReplicaSet to be available (1/2 Pods available)",
    );
  });

  test("is not waited for with skipAwait", async () => {
    const skipping = {
      ...deployment,
      metadata: { name: "web", annotations: { "pulumi.com/skipAwait": "true" } },
    };
    expect((await plugin.create(DEPLOYMENT, skipping)).id).toBe("default/web");
  });

  test("that does not come up is recorded with what its pods say", async () => {
    api.put("/api/v1/namespaces/default/pods/web-1", {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "web-1", namespace: "default" },
      status: {
        containerStatuses: [
          { name: "nginx", state: { waiting: { reason: "ImagePullBackOff", message: "no" } } },
        ],
      },
    });
    const failed = await plugin
      .create(DEPLOYMENT, deployment, { timeout: 0.2 })
      .catch((error: CallError) => error);
    expect((failed as CallError).message).toMatch(
      /was successfully created, but.*'web' timed out waiting to be Ready/,
    );
    expect((failed as CallError).partial).toMatchObject({
      id: "default/web",
      outputs: { kind: "Deployment", __inputs: deployment },
      reasons: [expect.anything(), '[Pod default/web-1]: container "nginx": [ImagePullBackOff] no'],
    });
  });

  test("whose controller has given up fails at once", async () => {
    const creation = plugin.create(DEPLOYMENT, deployment);
    const failure = expect(creation).rejects.toThrow(/\[ProgressDeadlineExceeded\] too slow/);
    await watched().toBe(true);
    const condition = {
      type: "Progressing",
      status: "False",
      reason: "ProgressDeadlineExceeded",
      message: "too slow",
    };
    rollOut({ observedGeneration: 1, conditions: [condition] });
    await failure;
  });
});

test("a Service is there when no endpoint is pending", async () => {
  const slice = (ready: boolean) => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "svc-1", namespace: "default" },
    endpoints: [{ conditions: { ready } }],
  });
  const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
  const inputs = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "svc" },
    spec: { selector: { app: "a" } },
  };
  api.put(`${slices}/svc-1`, slice(false));
  const creation = plugin.create(SERVICE, inputs);
  await expect.poll(() => api.requests.some(({ query }) => query.watch === "true")).toBe(true);
  api.put(`${slices}/svc-1`, slice(true));
  expect((await creation).id).toBe("default/svc");
});

describe("diff", () => {
  test("is none for the same inputs, whatever the server has added, and asks no server", async () => {
    const olds = { ...configMap, metadata: { name: "page", namespace: "default", uid: "u" } };
    const none = await plugin.diff(CONFIG_MAP, { id: "x", olds, oldInputs: configMap, news: configMap });
    expect(none).toMatchObject({ changed: false, paths: [] });
    const named = { ...configMap, metadata: { name: "page", namespace: "default" } };
    expect(await diff(CONFIG_MAP, configMap, named)).toMatchObject({ changed: false });
    expect(api.requests).toEqual([]);
  });

  test("of weights is an update in place", async () => {
    expect(await diff(WIDGET, widget, { ...widget, spec: { weight: 90 } })).toEqual({
      changed: true,
      paths: ["spec.weight"],
      replaces: [],
      deleteBeforeReplace: false,
    });
  });

  test("of a ConfigMap's data replaces it, unless the provider says that it may change", async () => {
    const news = { ...configMap, data: { a: "2" } };
    expect(await diff(CONFIG_MAP, configMap, news)).toMatchObject({
      replaces: ["data"],
      deleteBeforeReplace: true,
    });
    await plugin.configure({ kubeconfig: api.kubeconfig, enableConfigMapMutable: "true" });
    expect(await diff(CONFIG_MAP, configMap, news)).toMatchObject({ changed: true, replaces: [] });
  });

  test("of a Deployment's selector replaces it, of its replicas not", async () => {
    const spec = deployment.spec as Properties;
    const selector = { ...deployment, spec: { ...spec, selector: { matchLabels: { app: "other" } } } };
    expect(await diff(DEPLOYMENT, deployment, selector)).toMatchObject({ replaces: ["spec"] });
    expect(
      await diff(DEPLOYMENT, deployment, { ...deployment, spec: { ...spec, replicas: 3 } }),
    ).toMatchObject({
      replaces: [],
    });
  });

  test("of the name or the namespace makes the new one first", async () => {
    const moves: Properties[] = [{ name: "other" }, { name: "page", namespace: "elsewhere" }];
    for (const metadata of moves)
      expect(await diff(CONFIG_MAP, configMap, { ...configMap, metadata })).toMatchObject({
        replaces: ["metadata"],
        deleteBeforeReplace: false,
      });
  });

  test("of a value that is not known yet is a change", async () => {
    expect(await diff(WIDGET, widget, { ...widget, spec: { weight: UNKNOWN } })).toMatchObject({
      changed: true,
      paths: ["spec.weight"],
    });
  });
});

describe("update", () => {
  const olds = { ...configMap, __fieldManager: "pulumi-kubernetes-11111111" };
  const update = (news: Properties, preview = false) =>
    plugin.update(CONFIG_MAP, { id: "default/page", olds, oldInputs: configMap, news, preview });

  test("applies the inputs as the manager in the state", async () => {
    api.put(`${CONFIG_MAPS}/page`, configMap as never);
    const outputs = await update({ ...configMap, data: { a: "2" } });
    expect(outputs).toMatchObject({ data: { a: "2" }, __fieldManager: "pulumi-kubernetes-11111111" });
    expect(writes()).toMatchObject([
      {
        method: "PATCH",
        path: `${CONFIG_MAPS}/page`,
        contentType: "application/apply-patch+yaml",
        query: { fieldManager: "pulumi-kubernetes-11111111", force: "false" },
        body: { data: { a: "2" } },
      },
    ]);
  });

  test("takes over before that what it created, and what somebody changed with kubectl", async () => {
    const entry = (manager: string, fields: object, more = {}) => ({
      manager,
      operation: "Update",
      apiVersion: "v1",
      fieldsType: "FieldsV1",
      fieldsV1: fields,
      ...more,
    });
    const controller = entry("kube-controller-manager", { "f:status": {} }, { subresource: "status" });
    const managedFields = [
      entry("pulumi-kubernetes", { "f:data": { "f:a": {} } }),
      entry("kubectl-edit", { "f:data": { "f:b": {} } }),
      controller,
    ];
    api.put(`${CONFIG_MAPS}/page`, { ...configMap, metadata: { name: "page", managedFields } } as never);
    await update({ ...configMap, data: { a: "2" } });
    const [adoption, apply] = writes();
    expect(apply?.contentType).toBe("application/apply-patch+yaml");
    expect(adoption).toMatchObject({ contentType: "application/json-patch+json" });
    expect(Object.values(adoption?.body ?? {})[0]).toEqual({
      op: "replace",
      path: "/metadata/managedFields",
      value: [
        controller,
        {
          manager: "pulumi-kubernetes-11111111",
          operation: "Apply",
          apiVersion: "v1",
          fieldsType: "FieldsV1",
          fieldsV1: { "f:data": { "f:a": {}, "f:b": {} } },
        },
      ],
    });
  });

  test("takes over once more when the object has changed meanwhile", async () => {
    const managedFields = [
      { manager: "kubectl", operation: "Update", apiVersion: "v1", fieldsType: "FieldsV1", fieldsV1: {} },
    ];
    api.put(`${CONFIG_MAPS}/page`, { ...configMap, metadata: { name: "page", managedFields } } as never);
    api.conflicts = 2;
    expect(await update({ ...configMap, data: { a: "2" } })).toMatchObject({ data: { a: "2" } });
    expect(writes().map(({ contentType }) => contentType)).toEqual([
      ...Array(3).fill("application/json-patch+json"),
      "application/apply-patch+yaml",
    ]);
  });

  test("as a preview is a dry run", async () => {
    api.put(`${CONFIG_MAPS}/page`, configMap as never);
    expect(await update({ ...configMap, data: { a: "2" } }, true)).toMatchObject({ data: { a: "2" } });
    expect(writes()).toMatchObject([{ query: { dryRun: "All" } }]);
  });

  test("of an object that is gone says so", async () => {
    await expect(update(configMap)).rejects.toThrow(/update of resource ".*page" failed: "page" not found/);
  });
});

describe("a Patch resource", () => {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "default", uid: "u1" } };

  test("applies its fields to an object that exists", async () => {
    api.put("/api/v1/namespaces/default", namespace);
    const { id, outputs } = await plugin.create(PATCH, label);
    expect(id).toBe("default");
    expect(outputs).toMatchObject({ metadata: { labels: { "istio-injection": "enabled" } } });
    expect(writes()).toMatchObject([{ method: "PATCH", contentType: "application/apply-patch+yaml" }]);
  });

  test("makes no object that does not exist", async () => {
    await expect(plugin.create(PATCH, label, { timeout: 0.1 })).rejects.toThrow(
      /not found; a Patch resource changes an object that exists, so create it first$/,
    );
    expect(writes()).toEqual([]);
  });

  test("gives up its own fields and nothing else when it is deleted", async () => {
    api.put("/api/v1/namespaces/default", namespace);
    await plugin.delete(PATCH, "default", { ...label, __fieldManager: "pulumi-kubernetes-22222222" });
    expect(writes()).toMatchObject([
      {
        method: "PATCH",
        query: { fieldManager: "pulumi-kubernetes-22222222" },
        body: { apiVersion: "v1", kind: "Namespace", metadata: { name: "default", uid: "u1" } },
      },
    ]);
    expect(Object.keys(writes()[0]?.body ?? {})).toEqual(["apiVersion", "kind", "metadata"]);
  });

  test("is deleted without a word when the object is gone", async () => {
    await plugin.delete(PATCH, "default", { ...label, __fieldManager: "m" });
    expect(writes()).toEqual([]);
  });

  test("is replaced by another name only", async () => {
    const labels = { ...label, metadata: { name: "default", labels: { "istio-injection": "disabled" } } };
    expect(await diff(PATCH, label, labels)).toMatchObject({ changed: true, replaces: [] });
    const other = { ...label, metadata: { name: "other" } };
    expect(await diff(PATCH, label, other)).toMatchObject({ replaces: ["metadata"] });
  });
});

describe("delete", () => {
  test("waits until the object is gone", async () => {
    api.put(`${CONFIG_MAPS}/page`, {
      ...configMap,
      metadata: { name: "page", finalizers: ["busy"] },
    } as never);
    let done = false;
    const deletion = plugin.delete(CONFIG_MAP, "default/page", configMap).then(() => {
      done = true;
    });
    await expect.poll(() => api.requests.some(({ query }) => query.watch === "true")).toBe(true);
    expect(done).toBe(false);
    expect(writes()).toMatchObject([{ method: "DELETE", body: { propagationPolicy: "Foreground" } }]);
    api.remove(`${CONFIG_MAPS}/page`);
    await deletion;
  });

  test("gives up at the end of the time", async () => {
    api.put(`${CONFIG_MAPS}/page`, {
      ...configMap,
      metadata: { name: "page", finalizers: ["busy"] },
    } as never);
    await expect(plugin.delete(CONFIG_MAP, "default/page", configMap, {}, 0.2)).rejects.toThrow(
      'timed out after 0.2 s while waiting for ConfigMap "page" to be deleted',
    );
  });

  test("in a cluster that cannot be reached fails, unless it is said to be gone", async () => {
    const kubeconfig = api.kubeconfig.replace(/127.0.0.1:\d+/, "127.0.0.1:1");
    await plugin.configure({ kubeconfig });
    await expect(plugin.delete(CONFIG_MAP, "default/page", configMap)).rejects.toThrow(/is unreachable/);
    await plugin.configure({ kubeconfig, deleteUnreachable: "true" });
    await plugin.delete(CONFIG_MAP, "default/page", configMap);
    expect((await plugin.read(CONFIG_MAP, "default/page", configMap, configMap)).id).toBe("");
  });

  test("is done when the object or its kind is gone", async () => {
    await plugin.delete(CONFIG_MAP, "default/page", configMap);
    await plugin.delete(WIDGET, "default/w", widget);
  });
});

describe("read", () => {
  test("gets a Service by its id, with what the server gave it", async () => {
    const live = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "svc", namespace: "default", managedFields: [] },
      spec: { ports: [{ name: "http2", port: 80, nodePort: 30934 }] },
      status: { loadBalancer: {} },
    };
    api.put(`${SERVICES}/svc`, live);
    const { id, outputs, inputs } = await plugin.read(SERVICE, "default/svc");
    expect(id).toBe("default/svc");
    expect(outputs).toMatchObject({ spec: live.spec, status: live.status });
    expect(outputs.metadata).not.toHaveProperty("managedFields");
    expect(inputs).not.toHaveProperty("status");
  });

  test("of nothing is an empty id", async () => {
    expect((await plugin.read(SERVICE, "default/none")).id).toBe("");
    expect((await plugin.read(WIDGET, "default/w", widget, widget)).id).toBe("");
  });

  test("shows what somebody changed, and only where the program has a say", async () => {
    api.define(widgetKind);
    const inputs = {
      ...widget,
      metadata: { name: "w", labels: { ours: "1" } },
      spec: {
        cpu: "1000m",
        route: [
          { name: "a", weight: 50 },
          { name: "b", weight: 50 },
        ],
      },
    };
    const recorded = {
      ...inputs,
      spec: {
        cpu: "1",
        route: [
          { name: "a", weight: 50, x: 0 },
          { name: "b", weight: 50, x: 0 },
        ],
        added: true,
      },
    };
    const live = {
      ...recorded,
      metadata: { name: "w", namespace: "default", labels: { theirs: "2" }, annotations: { more: "y" } },
      spec: {
        ...recorded.spec,
        route: [
          { name: "a", weight: 1, x: 0 },
          { name: "b", weight: 50, x: 7 },
        ],
      },
    };
    api.put(`${WIDGETS}/w`, live as never);
    const found = await plugin.read(WIDGET, "default/w", inputs, recorded);
    expect(found.inputs).toEqual({
      ...inputs,
      metadata: { name: "w", labels: {} },
      spec: {
        cpu: "1000m",
        route: [
          { name: "a", weight: 1 },
          { name: "b", weight: 50 },
        ],
      },
    });
    expect(found.outputs).toMatchObject({ spec: live.spec });
  });
});

describe("the provider's own configuration", () => {
  test("another kubeconfig of the same cluster changes nothing that is there", async () => {
    const before = { kubeconfig: "/a", clusterIdentifier: "lab" };
    const after = { kubeconfig: "/b", clusterIdentifier: "lab" };
    expect(await plugin.diffConfig(before, after)).toMatchObject({ changed: true, replaces: [] });
    expect(await plugin.diffConfig(before, before)).toMatchObject({ changed: false });
  });

  test("another cluster replaces everything", async () => {
    const [before, after] = [{ clusterIdentifier: "lab" }, { clusterIdentifier: "other" }];
    expect(await plugin.diffConfig(before, after)).toMatchObject({ replaces: ["clusterIdentifier"] });
    const moved = api.kubeconfig.replace("127.0.0.1", "127.0.0.2");
    expect(await plugin.diffConfig({ kubeconfig: api.kubeconfig }, { kubeconfig: moved })).toMatchObject({
      replaces: ["kubeconfig"],
    });
    const renamed = api.kubeconfig.replace("t0ken", "t1ken");
    expect(await plugin.diffConfig({ kubeconfig: api.kubeconfig }, { kubeconfig: renamed })).toMatchObject({
      changed: true,
      replaces: [],
    });
  });

  test("a kubeconfig may be a file, and names the context, if not the one that it says", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "kubeconfig-")), "config");
    writeFileSync(file, api.kubeconfig);
    await plugin.configure({ kubeconfig: file });
    await plugin.create(CONFIG_MAP, configMap);
    await plugin.configure({ kubeconfig: file, context: "none" });
    await expect(plugin.create(CONFIG_MAP, configMap)).rejects.toThrow(
      `kubeconfig ${file} has no usable context none; it has: c`,
    );
    await plugin.configure({ kubeconfig: "/no/such" });
    await expect(plugin.create(CONFIG_MAP, configMap)).rejects.toThrow("kubeconfig /no/such cannot be read");
  });

  test("a namespace is where objects go that name none", async () => {
    await plugin.configure({ kubeconfig: api.kubeconfig, namespace: "lab" });
    expect((await plugin.check(CONFIG_MAP, configMap)).inputs).toMatchObject({
      metadata: { namespace: "lab" },
    });
    expect((await plugin.check(PATCH, label)).inputs.metadata).not.toHaveProperty("namespace");
  });
});

test("an object without a name gets one and keeps it", async () => {
  const { metadata: _, ...unnamed } = configMap;
  const { inputs } = await plugin.check(CONFIG_MAP, unnamed);
  expect(inputs.metadata).toMatchObject({ name: expect.stringMatching(/^page-[0-9a-f]{8}$/) });
  expect((await plugin.check(CONFIG_MAP, unnamed, inputs)).inputs).toEqual(inputs);
});

test("what is no Kubernetes object is refused", async () => {
  await expect(plugin.check(urn("kubernetes:helm.sh/v3:Release", "r"), {})).rejects.toThrow(
    /is not supported/,
  );
  await expect(plugin.invoke("kubernetes:yaml:decode", {})).rejects.toThrow(/is not supported/);
});

/** Tests of embedded/plugins/kubernetes/provider.ts. */
import { describe, expect, test } from "vitest";
import { type Properties, Secret, UNKNOWN } from "../../../../../embedded/plugins/values.ts";
import {
  ARGUMENTS,
  configMap,
  deployment,
  failureOf,
  fakeCluster,
  label,
  PATHS,
  TYPES,
  widget,
  widgetKind,
} from "../../../../support/kubernetesProvider.ts";

const { api, it } = await fakeCluster();

describe("create", () => {
  test("returns the object as it is, with the id of the official provider and a random field manager", async () => {
    const { id, outputs } = await it.create(TYPES.configMap, configMap);
    expect(id).toBe("default/page");
    expect(outputs).toMatchObject({
      kind: "ConfigMap",
      metadata: { name: "page", namespace: "default", resourceVersion: expect.any(String) },
      __inputs: configMap,
      __fieldManager: expect.stringMatching(/^pulumi-kubernetes-[0-9a-f]{8}$/),
    });
  });

  test("is a forced apply under the manager in the state, another one at each create", async () => {
    const managers = [];
    for (const _ of ["made", "there already"]) {
      const { outputs } = await it.create(TYPES.configMap, configMap);
      managers.push(outputs.__fieldManager);
      expect(it.writes.at(-1)).toMatchObject({
        method: "PATCH",
        path: PATHS.configMap,
        contentType: "application/apply-patch+yaml",
        query: { force: "true", fieldManager: outputs.__fieldManager },
      });
    }
    // After a kill two of them would own the object.
    expect(managers[0]).not.toBe(managers[1]);
    expect(it.writes).toHaveLength(2);
  });

  test("the annotation patchFieldManager names the manager", async () => {
    const metadata = { name: "page", annotations: { "pulumi.com/patchFieldManager": "lab" } };
    const { outputs } = await it.create(TYPES.configMap, { ...configMap, metadata });
    expect(outputs.__fieldManager).toBe("lab");
    expect(it.writes).toMatchObject([{ query: { fieldManager: "lab" } }]);
  });

  test("of a custom resource waits for its kind, and previews without it", async () => {
    expect((await it.create(TYPES.widget, widget, { preview: true })).outputs).toEqual(widget);
    const creation = it.create(TYPES.widget, widget);
    await expect.poll(() => it.texts, PATIENCE).toContainEqual(expect.stringMatching(/^Retry #0/));
    api.define(widgetKind);
    expect((await creation).id).toBe("default/w");
  });

  test("as a preview is a dry run, or nothing where something is not known yet", async () => {
    const { outputs } = await it.create(TYPES.configMap, configMap, { preview: true });
    expect(outputs).toMatchObject({ metadata: { namespace: "default" } });
    expect(it.writes).toMatchObject([{ query: { dryRun: "All" } }]);
    expect(api.get(PATHS.configMap)).toBeUndefined();
    const unknown = { ...configMap, data: { a: UNKNOWN } };
    expect((await it.create(TYPES.configMap, unknown, { preview: true })).outputs).toEqual(unknown);
    expect(it.writes).toHaveLength(1);
  });

  test("keeps secret values, and all data of a Secret", async () => {
    const hidden = { ...configMap, data: { a: new Secret("x"), b: "y" } };
    const { outputs } = await it.create(TYPES.configMap, hidden);
    expect(outputs.data).toEqual({ a: new Secret("x"), b: "y" });
    expect(outputs.__inputs).toMatchObject({ data: { a: new Secret("x") } });
    const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, stringData: { k: "plain" } };
    const { inputs } = await it.check(TYPES.secret, secret);
    expect(inputs).toMatchObject({ data: new Secret({ k: "cGxhaW4=" }) });
    expect((await it.create(TYPES.secret, inputs)).outputs.data).toEqual(new Secret({ k: "cGxhaW4=" }));
  });
});

describe("update", () => {
  const olds = { ...configMap, __fieldManager: "pulumi-kubernetes-11111111" };
  const managed = (...managedFields: object[]) =>
    api.put(PATHS.configMap, { ...configMap, metadata: { name: "page", managedFields } } as never);
  const update = (news: Properties, preview = false) =>
    it.update(TYPES.configMap, "default/page", olds, news, preview);
  const entry = (manager: string, fields: object, more = {}) => ({
    manager,
    operation: "Update",
    apiVersion: "v1",
    fieldsType: "FieldsV1",
    fieldsV1: fields,
    ...more,
  });

  test("applies the inputs as the manager in the state, forced", async () => {
    managed(entry("other", {}));
    const outputs = await update({ ...configMap, data: { a: "2" } });
    expect(outputs).toMatchObject({ data: { a: "2" }, __fieldManager: "pulumi-kubernetes-11111111" });
    expect(it.writes).toMatchObject([
      {
        contentType: "application/apply-patch+yaml",
        query: { fieldManager: "pulumi-kubernetes-11111111", force: "true" },
        body: { data: { a: "2" } },
      },
    ]);
  });

  test("first adopts the fields that kubectl changed", async () => {
    const controller = entry("kube-controller-manager", { "f:status": {} }, { subresource: "status" });
    managed(
      entry("kubectl-scale", { "f:data": { "f:a": {} } }),
      entry("kubectl-edit", { "f:data": { "f:b": {} } }),
      controller,
    );
    await update({ ...configMap, data: { a: "2" } });
    const [adoption, apply] = it.writes;
    expect(apply?.contentType).toBe("application/apply-patch+yaml");
    expect(adoption).toMatchObject({ contentType: "application/json-patch+json" });
    expect(Object.values(adoption?.body ?? {})[0]).toEqual({
      op: "replace",
      path: "/metadata/managedFields",
      value: [
        controller,
        entry("pulumi-kubernetes-11111111", { "f:data": { "f:a": {}, "f:b": {} } }, { operation: "Apply" }),
      ],
    });
  });

  test("adopts once more when the object has changed meanwhile", async () => {
    managed(entry("kubectl", {}));
    api.conflicts = 2;
    expect(await update({ ...configMap, data: { a: "2" } })).toMatchObject({ data: { a: "2" } });
    expect(it.writes.map(({ contentType }) => contentType)).toEqual([
      ...Array(3).fill("application/json-patch+json"),
      "application/apply-patch+yaml",
    ]);
  });

  test("under another manager removes the fields of the previous one", async () => {
    managed(entry("other", {}));
    const metadata = { name: "page", annotations: { "pulumi.com/patchFieldManager": "lab" } };
    expect(await update({ ...configMap, metadata })).toMatchObject({ __fieldManager: "lab" });
    expect(it.writes.map(({ query }) => query.fieldManager)).toEqual(["lab", "pulumi-kubernetes-11111111"]);
    expect(it.writes[1]?.body).toEqual({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "page" },
    });
  });

  test("without enablePatchForce ends where another manager has set a field, also in a preview", async () => {
    managed(entry("other", {}));
    await it.provider.configure({ ...ARGUMENTS, enablePatchForce: "false" });
    const conflict = /server-side apply field conflict detected\n.*"other": \.data\.a/;
    api.conflicts = 2;
    const news = { ...configMap, data: { a: "2" } };
    await expect(update(news)).rejects.toThrow(conflict);
    await expect(update(news, true)).rejects.toThrow(conflict);
    // A create can replace an object of the same name: its preview is forced.
    api.conflicts = 1;
    await it.create(TYPES.configMap, news, { preview: true });
    await expect(it.create(TYPES.configMap, news)).rejects.toThrow(conflict);
  });

  test("as a preview is a dry run", async () => {
    managed(entry("other", {}));
    expect(await update({ ...configMap, data: { a: "2" } }, true)).toMatchObject({ data: { a: "2" } });
    expect(it.writes).toMatchObject([{ query: { dryRun: "All" } }]);
  });

  test("of an object that is gone says so", async () => {
    await expect(update(configMap)).rejects.toThrow(/update of resource ".*" failed: .*page.* not found/);
  });
});

describe("a Patch resource", () => {
  test("applies its fields, whether the object is there or not", async () => {
    const { id, outputs } = await it.create(TYPES.namespacePatch, label);
    expect(id).toBe("default");
    expect(outputs).toMatchObject({ metadata: { labels: { "istio-injection": "enabled" } } });
    expect(it.writes).toMatchObject([
      { contentType: "application/apply-patch+yaml", query: { force: "true" } },
    ]);
  });

  test("gives up its own fields when it is deleted, and creates an object again that is gone", async () => {
    await it.delete(TYPES.namespacePatch, "default", { ...label, __fieldManager: "m" });
    expect(it.writes).toMatchObject([{ method: "PATCH", query: { fieldManager: "m" } }]);
    expect(it.writes[0]?.body).toEqual({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "default" },
    });
    expect(api.get(PATHS.namespace)).toBeDefined();
  });

  test("is replaced by another name only", async () => {
    const labels = { ...label, metadata: { name: "default", labels: { "istio-injection": "disabled" } } };
    const patch = TYPES.namespacePatch;
    expect(await it.diff(patch, label, labels)).toMatchObject({ deleteBeforeReplace: false });
    expect((await it.diff(patch, label, labels)).replaces).toEqual(["metadata.name", "metadata.namespace"]);
  });
});

describe("read", () => {
  test("of a missing object does nothing, also where its kind is gone", async () => {
    expect(await it.read(TYPES.configMap, "default/none", configMap, configMap)).toBeUndefined();
    expect(await it.read(TYPES.widget, "default/w", widget, widget)).toBeUndefined();
  });
});

test("a Deployment without pods is unhealthy at a refresh", async () => {
  const web = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", namespace: "default" } };
  api.put("/apis/apps/v1/namespaces/default/deployments/web", web);
  const error = await failureOf(it.read(TYPES.deployment, "default/web", web, web));
  expect(error.reasons).toContain("Minimum number of live Pods was not attained");
});

test("an object needs the arguments that the program sets; what is in the state does not", async () => {
  const { upsertExistingObjects: _, ...previous } = ARGUMENTS;
  await it.provider.configure(previous);
  await expect(it.check(TYPES.deployment, deployment)).rejects.toThrow(
    "not supported by the stand-in: a provider without argument upsertExistingObjects",
  );
  await it.delete(TYPES.configMap, "default/page", configMap);
});

test("with a list of kubeconfigs only calls that need the cluster fail", async () => {
  await it.provider.configure({ kubeconfig: "/a:/b" });
  const words = /configured Kubernetes cluster is unreachable: failed to parse kubeconfig data/;
  await expect(it.create(TYPES.configMap, configMap)).rejects.toThrow(words);
  expect((await it.create(TYPES.configMap, configMap, { preview: true })).outputs).toEqual(configMap);
  expect(it.lines).toContainEqual({ severity: "warning", text: expect.stringMatching(words) });
  await expect(it.read(TYPES.configMap, "default/page", configMap, configMap)).rejects.toThrow(
    /failed to read resource state due to unreachable cluster/,
  );
  expect((await it.diff(TYPES.configMap, configMap, configMap)).changes.size).toBe(0);
});

const PATIENCE = { timeout: 20_000 };

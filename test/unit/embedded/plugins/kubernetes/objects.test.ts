/** Tests of embedded/plugins/kubernetes/objects.ts. */
import { describe, expect, test } from "vitest";
import { configMap, deployment, fakeCluster, TYPES } from "../../../../support/kubernetesProvider.ts";

const { api, it } = await fakeCluster();

describe("diff", () => {
  test("is none for the same inputs, with the default namespace or without, and needs no server", async () => {
    const named = { ...configMap, metadata: { name: "page", namespace: "default" } };
    expect((await it.diff(TYPES.configMap, configMap, named)).changes.size).toBe(0);
    expect(api.requests).toEqual([]);
  });

  test("of a ConfigMap's data updates it, of an immutable field replaces the object after its deletion", async () => {
    const news = { ...configMap, data: { a: "2" } };
    expect(await it.diff(TYPES.configMap, configMap, news)).toMatchObject({ deleteBeforeReplace: false });
    const selector = { ...deployment, spec: { ...(deployment.spec as object), selector: {} } };
    expect(await it.diff(TYPES.deployment, deployment, selector)).toMatchObject({
      deleteBeforeReplace: true,
    });
  });

  test("of the name makes the new object first", async () => {
    const other = { ...configMap, metadata: { name: "other" } };
    expect(await it.diff(TYPES.configMap, configMap, other)).toMatchObject({ deleteBeforeReplace: false });
  });
});

test("an unsupported feature is refused by name", async () => {
  const words = (what: string) => new RegExp(`^not supported by the stand-in: ${what}; with the official`);
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p" } };
  await expect(it.check("kubernetes:helm.sh/v3:Release", {})).rejects.toThrow(
    words("resource type kubernetes:helm.sh/v3:Release"),
  );
  await expect(it.check("kubernetes:core/v1:Pod", pod)).rejects.toThrow(words("kind v1/Pod"));
  await expect(it.check(TYPES.configMap, { ...configMap, immutable: true })).rejects.toThrow(
    words("an immutable ConfigMap"),
  );
  const service = { apiVersion: "v1", kind: "Service", metadata: { name: "s" } };
  await expect(it.check(TYPES.service, service)).rejects.toThrow(
    words("a Service that is waited for, without annotation pulumi.com/skipAwait"),
  );
  const skipAwait = { "pulumi.com/skipAwait": "true" };
  const unawaited = { ...deployment, metadata: { name: "web", annotations: skipAwait } };
  await expect(it.check(TYPES.deployment, unawaited)).rejects.toThrow(
    words("a Deployment with annotation pulumi.com/skipAwait"),
  );
  await expect(it.read(TYPES.service, "default/s")).rejects.toThrow(
    words("a read of an object that is in no state"),
  );
  await expect(it.check(TYPES.configMap, { ...configMap, metadata: {} })).rejects.toThrow(
    words("an object without metadata.name"),
  );
  await expect(it.provider.configure({ renderYamlToDirectory: "/x" })).rejects.toThrow(
    words("provider argument renderYamlToDirectory"),
  );
  expect((await it.check(TYPES.deployment, deployment)).failures ?? []).toEqual([]);
});

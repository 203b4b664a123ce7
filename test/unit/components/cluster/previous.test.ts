/** Tests of components/cluster/previous.ts. */
import * as pulumi from "@pulumi/pulumi";
import { afterEach, expect, it, vi } from "vitest";
import { previousCluster } from "../../../../components/cluster/previous.ts";

const STACK = "organization/istio-lab/dev";

afterEach(() => vi.restoreAllMocks());

/** What the engine returns as the stack's outputs. */
const outputs = (outputs: object | Error) =>
  vi.spyOn(pulumi.runtime, "invoke").mockImplementation(async (token, args) => {
    expect([token, args]).toEqual(["pulumi:pulumi:readStackOutputs", { name: STACK }]);
    if (outputs instanceof Error) throw outputs;
    return { outputs };
  });

it("is an output of the stack", async () => {
  const clusterIdentity = { id: "0b7c1e2f", server: "https://10.0.0.1:6443", context: "prod" };
  outputs({ url: "http://x", clusterIdentity });
  expect(await previousCluster(STACK)).toEqual(clusterIdentity);
});

it("is not known of a stack that has not been up, or only by a previous version", async () => {
  outputs({});
  expect(await previousCluster(STACK)).toBeUndefined();
  outputs({ url: "http://x" });
  expect(await previousCluster(STACK)).toBeUndefined();
});

it("is not known where the state cannot be read", async () => {
  outputs(new Error("unauthorized"));
  expect(await previousCluster(STACK)).toBeUndefined();
});

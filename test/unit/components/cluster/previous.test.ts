import * as pulumi from "@pulumi/pulumi";
import { afterEach, expect, it, vi } from "vitest";
import { previousCluster } from "../../../../components/cluster/previous.ts";

const STACK = "organization/istio-lab/dev";
const URN = "urn:pulumi:dev::istio-lab::pulumi:providers:kubernetes::cluster";

afterEach(() => vi.restoreAllMocks());

/** What the engine's two functions return. */
function engine(outputs: object | Error, resources: object | Error = new Error("not to be called")) {
  return vi.spyOn(pulumi.runtime, "invoke").mockImplementation(async (token, args) => {
    const [answer, name] = /readStackOutputs$/.test(token)
      ? [outputs, (args as { name?: string }).name]
      : [resources, (args as { stackName?: string }).stackName];
    expect(name).toBe(STACK);
    if (answer instanceof Error) throw answer;
    return { outputs: answer };
  });
}

it("is the identifier of the provider, whatever other resources there are", async () => {
  engine(
    { url: "http://x" },
    {
      "urn:pulumi:dev::istio-lab::pulumi:pulumi:Stack::istio-lab-dev": { outputs: { url: "http://x" } },
      [URN]: { outputs: { clusterIdentifier: "0b7c1e2f", context: "prod" } },
    },
  );
  expect(await previousCluster(STACK)).toEqual({ id: "0b7c1e2f", kubeconfig: "", context: "prod" });
});

it("is not known of a stack without outputs: the engine ends when the resources of no state are listed", async () => {
  engine({});
  expect(await previousCluster(STACK)).toBeUndefined();
});

it("is not known where the state cannot be read", async () => {
  engine(new Error("unauthorized"));
  expect(await previousCluster(STACK)).toBeUndefined();
});

it("is not known of a state without the provider", async () => {
  engine({ url: "x" }, {});
  expect(await previousCluster(STACK)).toBeUndefined();
});

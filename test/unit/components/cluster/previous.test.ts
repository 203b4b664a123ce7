import { createRequire } from "node:module";
import * as pulumi from "@pulumi/pulumi";
import { afterEach, expect, it, vi } from "vitest";
import { previousCluster } from "../../../../components/cluster/previous.ts";

const require = createRequire(import.meta.url);
const messages: typeof import("@pulumi/pulumi/proto/resource_pb.js") = require("@pulumi/pulumi/proto/resource_pb.js");
const provider: typeof import("@pulumi/pulumi/proto/provider_pb.js") = require("@pulumi/pulumi/proto/provider_pb.js");
const structs: typeof import("google-protobuf/google/protobuf/struct_pb.js") = createRequire(
  require.resolve("@pulumi/pulumi/package.json"),
)("google-protobuf/google/protobuf/struct_pb.js");

const STACK = "organization/istio-lab/dev";
const URN = "urn:pulumi:dev::istio-lab::pulumi:providers:kubernetes::cluster";

afterEach(() => vi.restoreAllMocks());

/** What the engine's two functions return. */
function engine(outputs: object | Error, resources: object | Error = new Error("not to be called")) {
  const invoke = (
    request: InstanceType<typeof messages.ResourceInvokeRequest>,
    answer: (error: Error | null, response?: InstanceType<typeof provider.InvokeResponse>) => void,
  ) => {
    const { name, stackName } = request.getArgs()?.toJavaScript() ?? {};
    const [result, stack] = /readStackOutputs$/.test(request.getTok())
      ? [outputs, name]
      : [resources, stackName];
    expect(stack).toBe(STACK);
    // A reference in the answer would become a resource, which the engine does not know yet.
    expect(request.getAcceptresources()).toBe(false);
    if (result instanceof Error) return answer(result);
    answer(
      null,
      new provider.InvokeResponse().setReturn(structs.Struct.fromJavaScript({ outputs: result } as never)),
    );
  };
  vi.spyOn(pulumi.runtime, "getMonitor").mockReturnValue({ invoke } as never);
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

/**
 * Which cluster the stack's state was made on: the state holds it as the identifier of the Kubernetes
 * provider.
 */
import { createRequire } from "node:module";
import * as pulumi from "@pulumi/pulumi";

// Pulumi's generated messages are CommonJS, and protobuf's own types have to be the very ones that they use.
const require = createRequire(import.meta.url);
const resources: typeof import("@pulumi/pulumi/proto/resource_pb.js") = require("@pulumi/pulumi/proto/resource_pb.js");
const structs: typeof import("google-protobuf/google/protobuf/struct_pb.js") = createRequire(
  require.resolve("@pulumi/pulumi/package.json"),
)("google-protobuf/google/protobuf/struct_pb.js");

export interface PreviousCluster {
  /** UID of namespace kube-system. */
  readonly id: string;
  /** As they were configured; empty where they were not. */
  readonly kubeconfig: string;
  readonly context: string;
}

/** Functions of Pulumi's engine; both read the state and leave nothing in it. */
const READ_OUTPUTS = "pulumi:pulumi:readStackOutputs";
const READ_RESOURCES = "pulumi:pulumi:readStackResourceOutputs";
const PROVIDER = /::pulumi:providers:kubernetes::cluster$/;

/**
 * Reads the state of the stack that runs.
 * @returns undefined where the stack has not been up, or its state cannot be read from here
 */
export async function previousCluster(stack: string): Promise<PreviousCluster | undefined> {
  try {
    // First the outputs: the engine cannot list the resources of a stack that has no state.
    const { outputs } = await invoke(READ_OUTPUTS, { name: stack });
    if (Object.keys(outputs).length === 0) return undefined;
    const { outputs: all } = await invoke(READ_RESOURCES, { stackName: stack });
    const [, provider] = Object.entries(all).find(([urn]) => PROVIDER.test(urn)) ?? [];
    const { clusterIdentifier = "", kubeconfig = "", context = "" } = provider?.outputs ?? {};
    return clusterIdentifier ? { id: clusterIdentifier, kubeconfig, context } : undefined;
  } catch (error) {
    await pulumi.log.debug(`the state's cluster is not known: ${error}`);
    return undefined;
  }
}

interface Answer {
  readonly outputs: Readonly<Record<string, { readonly outputs?: Readonly<Record<string, string>> }>>;
}

/**
 * Calls a function of the engine. The SDK's own call would make a resource of each reference in the answer, as
 * components hold them in their outputs, and fail the program: none of them is registered yet.
 */
async function invoke(token: string, args: Record<string, string>): Promise<Answer> {
  const monitor = pulumi.runtime.getMonitor();
  if (monitor === undefined) throw new Error("there is no engine");
  const request = new resources.ResourceInvokeRequest()
    .setTok(token)
    .setArgs(structs.Struct.fromJavaScript(args))
    .setAcceptresources(false);
  return await new Promise((resolve, reject) => {
    monitor.invoke(request, (error, response) => {
      if (error) reject(error);
      else resolve(response.getReturn()?.toJavaScript() as unknown as Answer);
    });
  });
}

/**
 * Which cluster the stack's state was made on: the state holds it as the identifier of the Kubernetes
 * provider.
 */
import * as pulumi from "@pulumi/pulumi";

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
    const { outputs: resources } = await invoke(READ_RESOURCES, { stackName: stack });
    const [, provider] = Object.entries(resources).find(([urn]) => PROVIDER.test(urn)) ?? [];
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

const invoke = (token: string, args: object): Promise<Answer> => pulumi.runtime.invoke(token, { ...args });

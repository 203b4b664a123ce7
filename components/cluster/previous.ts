/** Which cluster the stack's last update was on: an output of the stack holds it. */
import * as pulumi from "@pulumi/pulumi";

/** The output of index.ts; of a stack of a previous version it is missing until the next update. */
const OUTPUT = "clusterIdentity";

/** A cluster, and how it was reached. */
export interface ClusterIdentity {
  /** UID of namespace kube-system. */
  readonly id: string;
  /** URL of the API server. */
  readonly server: string;
  readonly context: string;
}

/**
 * Reads the outputs of the stack that runs, as a stack reference does, and leaves no resource in the state.
 * The provider's own identifier would be there for older states too, but the engine hands it out together
 * with the outputs of all components, whose references to resources fail the program.
 *
 * @returns undefined where no output names a cluster, or the state cannot be read from here
 */
export async function previousCluster(stack: string): Promise<ClusterIdentity | undefined> {
  try {
    const answer = await pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", { name: stack });
    return (answer as { outputs: { [OUTPUT]?: ClusterIdentity } }).outputs[OUTPUT];
  } catch (error) {
    await pulumi.log.debug(`the cluster of the last update is not known: ${error}`);
    return undefined;
  }
}

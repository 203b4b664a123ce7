/** Settings that say which cluster it is. */
import { homedir } from "node:os";
import { join } from "node:path";
import { type ConfigOf, key, slice } from "../../settings/slice.ts";
import { isPlain, text } from "../../settings/values.ts";

export const clusterSettings = slice({
  keys: {
    kubeconfig: key(
      text("give a path, or nothing for KUBECONFIG or ~/.kube/config", (value) =>
        isPlain(value, 4096),
      ).default(""),
      "Path of the kubeconfig",
      { otherwise: "`KUBECONFIG`, or `~/.kube/config`" },
    ),
    context: key(
      text("give the name of a context, or nothing for the current one", (value) =>
        isPlain(value, 253),
      ).default(""),
      "Context in the kubeconfig",
      { otherwise: "the current one" },
    ),
  },
  // No shell expands it on the way to kubectl.
  resolve: ({ kubeconfig, context }) => ({
    kubeconfig: kubeconfig.startsWith("~/") ? join(homedir(), kubeconfig.slice(2)) : kubeconfig,
    context,
  }),
});

/** The capability's part of the configuration. */
export type ClusterConfig = ConfigOf<typeof clusterSettings>;

/** Turns an error of the Kubernetes client into a fault with the way out. */
import { delimiter } from "node:path";
import {
  ApiError,
  KubectlError,
  type KubernetesApi,
  NoAnswer,
  type Selection,
} from "../clients/kubernetes.ts";

/** The fault's message for an error of {@link KubernetesApi}; undefined for any other error. */
export async function adviceOn(
  error: unknown,
  selection: Selection,
  api: KubernetesApi | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (error instanceof KubectlError) return onKubectl(error, selection);
  const where = api?.where ?? "the cluster";
  if (error instanceof NoAnswer) return onNoAnswer(error, where);
  if (signal.aborted) return tooLate(where);
  if (!(error instanceof ApiError)) return undefined;
  if (error.status === 401) return await onUnknownUser(where, api);
  return `${where} answers with an error: ${error.message} (HTTP ${error.status}); ${onStatus(error)}`;
}

function onStatus({ status, message }: ApiError): string {
  if (/HTTP request to an HTTPS server/.test(message))
    return "write the server of that cluster in the kubeconfig with https://";
  if (status === 403) return "use a context whose user may do that";
  if (status === 404)
    return "is it the URL of an API server? correct server of that cluster in the kubeconfig";
  return "try again later";
}

function onKubectl({ kind, message, target }: KubectlError, { kubeconfig, context }: Selection): string {
  const files = target?.files || kubeconfig;
  const contexts = target?.contexts.join(", ") || "none";
  switch (kind) {
    case "missing":
      return "kubectl is not on PATH; get it from https://kubernetes.io/docs/tasks/tools/";
    case "no-kubeconfig":
      return kubeconfig
        ? `kubeconfig ${kubeconfig} holds no context; set kubeconfig to the path of one that does`
        : process.env.KUBECONFIG
          ? `there is no kubeconfig: KUBECONFIG names ${process.env.KUBECONFIG}, which does not exist or ` +
            `is empty${unexpanded(process.env.KUBECONFIG)}; set kubeconfig to the path of one`
          : "there is no kubeconfig: neither KUBECONFIG nor ~/.kube/config; set kubeconfig to the path " +
            "of one";
    case "no-context":
      if (target && [context, target.context].some((name) => name && target.contexts.includes(name)))
        return (
          `kubeconfig ${files}: ${message}; add it (kubectl config set-cluster), or set context to another ` +
          `of: ${contexts}`
        );
      return (
        `kubeconfig ${files} has no usable context ` +
        `${context || target?.context || "(no current context)"}; it has: ${contexts}; set context to ` +
        "one of them"
      );
    case "no-credentials":
      return (
        `kubeconfig ${files} has no credentials for the user of context ${context || target?.context}; ` +
        `add them (kubectl config set-credentials), or set context to another of: ${contexts}`
      );
    case "kubeconfig":
      return (
        `kubeconfig ${files ?? "of KUBECONFIG or ~/.kube/config"} cannot be used: ${message}; ` +
        correction(message, kubeconfig)
      );
  }
}

/** A shell expands a tilde only at the beginning of an unquoted value. */
const unexpanded = (paths: string) =>
  paths.split(delimiter).some((path) => path.startsWith("~")) ? " (kubectl does not know ~: use $HOME)" : "";

function correction(message: string, kubeconfig: string | undefined): string {
  if (message.includes("exec plugin: invalid apiVersion"))
    return (
      "have it written anew by the tool that made it (for EKS: aws eks update-kubeconfig), or set " +
      "apiVersion of the user's exec to client.authentication.k8s.io/v1, and its interactiveMode to " +
      "IfAvailable"
    );
  if (message.includes("no such file") && kubeconfig?.includes(delimiter))
    return "kubeconfig is one path: for a list of paths, leave it out and set KUBECONFIG";
  return "correct it, or set kubeconfig to the path of another one";
}

function onNoAnswer({ kind, message }: NoAnswer, where: string): string {
  switch (kind) {
    case "time":
      return tooLate(where);
    case "credentials":
      if (message.includes("interactive mode"))
        return (
          `${where}: its credential plugin wants a terminal, and an update has none (${message}): ` +
          "set interactiveMode of the user to IfAvailable, or set context to one with another user"
        );
      if (/executable \S+ not found/.test(message))
        return (
          `${where}: its credential plugin is not installed: ${withoutPreamble(message)}; install it, or ` +
          "add its directory to PATH"
        );
      return (
        `${where}: its credential plugin fails: ${message.replace("getting credentials: ", "")}; log on ` +
        "by hand (kubectl get namespaces) and try again"
      );
    case "expired":
      return `${where}: the API server's certificate has expired (${message}); renew it on the cluster`;
    case "untrusted":
      return (
        `${where}: the API server's certificate is not trusted: ${message}; is it the kubeconfig of this ` +
        "cluster?"
      );
    case "foreign":
      return (
        `${where} answers, but not as an API server: ${message}; is there a proxy or a page to log on in ` +
        "between? correct server of that cluster in the kubeconfig, or log on there first"
      );
    case "connection":
      return (
        `${where} does not answer: ${message}; is the cluster up, and is it reachable from here? set ` +
        "context or kubeconfig to another one otherwise"
      );
  }
}

/** Leaves the name of the plugin, and the kubeconfig's own hint where it has one. */
const withoutPreamble = (message: string) =>
  message
    .replace("getting credentials: ", "")
    .replace(/ ?It looks like you are trying .*#client-go-credential-plugins/, "")
    .replace(/( not found) (.+)/, "$1: $2");

const tooLate = (where: string) =>
  `${where} does not answer in time; is the cluster up, and is it reachable from here? set context or ` +
  "kubeconfig to another one otherwise";

/** The server answers 401 without a reason. Only the certificate itself shows that it has expired. */
async function onUnknownUser(where: string, api: KubernetesApi | undefined): Promise<string> {
  const until = await api?.certificateExpiry();
  if (until && until.getTime() < Date.now())
    return (
      `${where}: the user's certificate expired on ${until.toISOString()}; get a new kubeconfig from the ` +
      "cluster's administrator"
    );
  const plugin = api?.target.credentialPlugin;
  if (plugin)
    return (
      `${where} does not know the user of the credential plugin ${plugin}: log on anew with it, or have ` +
      "the cluster's administrator let that user in"
    );
  return (
    `${where} does not know this user: its certificate or token may have expired; get a new kubeconfig ` +
    "from the cluster's administrator"
  );
}

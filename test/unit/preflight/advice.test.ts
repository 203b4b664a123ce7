/** Tests of preflight/advice.ts, on the words of kubectl. */
import { expect, it, vi } from "vitest";
import { ApiError, KubectlError, KubernetesApi, NoAnswer } from "../../../clients/kubernetes.ts";
import { adviceOn } from "../../../preflight/advice.ts";
import { clusterOf, kubeconfigOf } from "../../support/clusterServer.ts";

const advice = (error: Error, kubeconfig = "/k", api?: KubernetesApi) =>
  adviceOn(error, { kubeconfig }, api, AbortSignal.timeout(20_000));

const missing = (hint: string) =>
  new NoAnswer(
    "credentials",
    "getting credentials: exec: executable aws-iam not found It looks like you are trying to use a client-go " +
      "credential plugin that is not installed. To learn more about this feature, consult the documentation " +
      `available at: https://kubernetes.io/docs/x/#client-go-credential-plugins${hint}`,
  );

it("a credential plugin that is not installed is named, with the kubeconfig's hint", async () => {
  expect(await advice(missing(""))).toBe(
    "the cluster: its credential plugin is not installed: exec: executable aws-iam not found; install it, or " +
      "add its directory to PATH",
  );
  expect(await advice(missing(" Install aws-iam from example.org"))).toContain(
    "executable aws-iam not found: Install aws-iam from example.org; install it",
  );
});

it.each<[string, string, RegExp]>([
  [
    'exec plugin: invalid apiVersion "client.authentication.k8s.io/v1alpha1"',
    "/k",
    /v1alpha1"; have it written anew by the tool that made it \(for EKS: aws eks update-kubeconfig\)/,
  ],
  [
    "stat /a:/b: no such file or directory",
    "/a:/b",
    /; kubeconfig is one path: for a list of paths, leave it/,
  ],
  ["stat /a: no such file or directory", "/a", /; correct it, or set kubeconfig to the path of another one$/],
])("a kubeconfig that kubectl cannot read: %s", async (message, kubeconfig, words) => {
  expect(await advice(new KubectlError("kubeconfig", message), kubeconfig)).toMatch(words);
});

it("a tilde in KUBECONFIG is named", async () => {
  const nothing = () => advice(new KubectlError("no-kubeconfig", "there is no kubeconfig"), "");
  for (const [paths, words] of [
    ["/a:~/.kube/b", "is empty (kubectl does not know ~: use $HOME); set"],
    ["/a:/b", "is empty; set"],
  ] as const) {
    vi.stubEnv("KUBECONFIG", paths);
    expect(await nothing()).toContain(`KUBECONFIG names ${paths}, which does not exist or ${words}`);
  }
  vi.unstubAllEnvs();
});

it("plain HTTP to a port for HTTPS has the scheme as its way out", async () => {
  const error = new ApiError(400, "", "Client sent an HTTP request to an HTTPS server.");
  expect(await advice(error)).toMatch(/\(HTTP 400\); write the server .* with https:\/\/$/);
});

it("a user of a credential plugin who is not known logs on anew", async () => {
  const command = "get-token";
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command, interactiveMode: "IfAvailable" };
  const { kubeconfig } = await clusterOf({});
  const file = kubeconfigOf("https://127.0.0.1:1", { exec });
  const api = await KubernetesApi.connect({ kubeconfig: file });
  expect(await advice(new ApiError(401, "", "Unauthorized"), file, api)).toMatch(
    /does not know the user of the credential plugin get-token: log on anew with it/,
  );
  await api.close();
  const other = await KubernetesApi.connect({ kubeconfig });
  expect(await advice(new ApiError(401, "", "Unauthorized"), kubeconfig, other)).toMatch(
    /does not know this user: its certificate or token may have expired/,
  );
  await other.close();
});

/** Tests of components/cluster/sameCluster.sh. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";

const SCRIPT = fileURLToPath(new URL("../../../../components/cluster/sameCluster.sh", import.meta.url));

let bin = "";
beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
});
afterEach(() => rmSync(bin, { recursive: true }));

/** Runs the script with a kubectl of the test's own. */
function run(kubectl: string, env: Record<string, string> = { ISTIO_LAB_CLUSTER: "there" }) {
  writeFileSync(join(bin, "kubectl"), `#!/bin/sh\necho "$@" >>${join(bin, "calls")}\n${kubectl}\n`, {
    mode: 0o755,
  });
  return spawnSync("sh", [SCRIPT], { encoding: "utf8", env: { PATH: `${bin}:/usr/bin:/bin`, ...env } });
}

/** What the API server answers for namespace kube-system. */
const namespace = (uid: string) =>
  `printf '%s' '${JSON.stringify({ kind: "Namespace", metadata: { name: "kube-system", uid } })}'`;
const REFUSED = 'echo "The connection to the server 10.0.0.1:6443 was refused" >&2; exit 1';

it("the same cluster passes, with one request", () => {
  expect(run(namespace("there"))).toMatchObject({ status: 0, stderr: "" });
  expect(readFileSync(join(bin, "calls"), "utf8")).toBe(
    "get --raw=/api/v1/namespaces/kube-system --request-timeout=10s\n",
  );
});

it("a namespace of the application that is gone is reported, and how not to get it back", () => {
  const gone = "echo 'Error from server (NotFound): namespaces \"shop\" not found' >&2; exit 1";
  const env = { ISTIO_LAB_CLUSTER: "there", ISTIO_LAB_NAMESPACE: "shop" };
  const where = (answer: string) => `case "$*" in *shop*) ${answer} ;; *) ${namespace("there")} ;; esac`;
  expect(run(where(gone), env)).toMatchObject({
    status: 0,
    stdout:
      "namespace shop was deleted; without a pulumi refresh before it, this destroy makes the namespace anew, " +
      "empty: delete it then (kubectl delete namespace shop)\n",
  });
  expect(run(where(namespace("x")), env)).toMatchObject({ status: 0, stdout: "" });
  expect(run(where(REFUSED), env)).toMatchObject({ status: 0, stdout: "" });
});

it("an API that would hold a namespace of the stack's own is named, with the way out", () => {
  const kubectl = `case "$*" in
    *apiservices*) printf 'v1.apps True\\nv1beta1.metrics.k8s.io False\\n' ;;
    *) ${namespace("there")} ;;
  esac`;
  const env = { ISTIO_LAB_CLUSTER: "there", ISTIO_LAB_OWN_NAMESPACE: "watching" };
  expect(run(kubectl, env)).toMatchObject({
    status: 0,
    stdout:
      "APIService v1beta1.metrics.k8s.io does not answer: until it does, Kubernetes does not finish the " +
      "deletion of namespace watching (repair it, or: kubectl delete apiservice v1beta1.metrics.k8s.io)\n",
  });
});

it("a cluster that does not answer fails: what to do, and how to destroy without it", () => {
  const { status, stderr } = run(REFUSED, { ISTIO_LAB_CLUSTER: "there", KUBECONFIG: "/k" });
  expect(status).toBe(1);
  expect(stderr).toBe(
    "error: nothing more is deleted: the cluster of this stack does not answer (/k, context the current one): The connection to the server 10.0.0.1:6443 was refused. Run pulumi destroy again when it does; if it is gone for good, destroy without it:\n  PULUMI_K8S_DELETE_UNREACHABLE=true pulumi destroy\n",
  );
});

it.each([
  'error: context "prod" does not exist',
  "Error in configuration: context was not found for specified context: prod",
  "error: stat /k: no such file or directory",
  "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
])("a kubeconfig that has changed does not count as a cluster that is gone: %s", (words) => {
  const { status, stderr } = run(`echo '${words}' >&2; exit 1`);
  expect(status).toBe(1);
  expect(stderr).toContain("no longer leads to a cluster");
  expect(stderr).toContain("set kubeconfig and context, run pulumi up");
  expect(stderr).not.toContain("PULUMI_K8S_DELETE_UNREACHABLE");
});

it.each([
  "error: You must be logged in to the server (Unauthorized)",
  "Unable to connect to the server: getting credentials: exec: executable aws not found",
])("nor does a user who has to log on: %s", (words) => {
  const { status, stderr } = run(`echo '${words}' >&2; exit 1`);
  expect(status).toBe(1);
  expect(stderr).toContain("Log on, or get a new kubeconfig from its administrator");
  expect(stderr).not.toContain("PULUMI_K8S_DELETE_UNREACHABLE");
});

it("kubectl is missing: nothing is deleted", () => {
  rmSync(join(bin, "kubectl"), { force: true });
  const env = { PATH: bin, ISTIO_LAB_CLUSTER: "there" };
  const { status, stderr } = spawnSync("/bin/sh", [SCRIPT], { encoding: "utf8", env });
  expect([status, stderr]).toEqual([1, expect.stringContaining("kubectl is not on PATH")]);
});

it("a cluster that does not answer passes where that counts as gone", () => {
  const env = { ISTIO_LAB_CLUSTER: "there", PULUMI_K8S_DELETE_UNREACHABLE: "true" };
  expect(run(REFUSED, env)).toMatchObject({ status: 0, stderr: "" });
  expect(run(namespace("here"), env).status).toBe(1);
});

it("a user who may not read the namespace passes", () => {
  const forbidden = "echo 'Error from server (Forbidden): namespaces is forbidden' >&2; exit 1";
  expect(run(forbidden)).toMatchObject({ status: 0, stderr: "" });
});

it("without an identity it compares nothing", () => {
  expect(run(namespace("here"), {})).toMatchObject({ status: 0, stderr: "" });
});

it("another cluster fails, and both are named", () => {
  const kubectl = `case "$*" in *view*) printf https://10.0.0.1:6443 ;; *) ${namespace("here")} ;; esac`;
  const env = { ISTIO_LAB_CLUSTER: "there", ISTIO_LAB_CONTEXT: "prod", KUBECONFIG: "/k" };
  const { status, stderr } = run(kubectl, env);
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^error: nothing more is deleted: \/k, context prod, leads to another cluster .*: https:\/\/10\.0\.0\.1:6443 has the UID here in namespace kube-system, and the other one had there\. .* pulumi state delete --all --yes\n$/,
  );
});

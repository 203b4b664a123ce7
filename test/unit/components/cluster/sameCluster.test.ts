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

it("a cluster that does not answer fails: what to do, and how to destroy without it", () => {
  const { status, stderr } = run(REFUSED, { ISTIO_LAB_CLUSTER: "there", KUBECONFIG: "/k" });
  expect(status).toBe(1);
  expect(stderr).toBe(
    "error: the cluster of this stack does not answer (/k, context the current one): The connection to the server 10.0.0.1:6443 was refused. Nothing more is deleted. Run pulumi destroy again when it does; if it is gone for good, destroy without it:\n  PULUMI_K8S_DELETE_UNREACHABLE=true pulumi destroy\n",
  );
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
    /^error: \/k, context prod, leads to another cluster .*: https:\/\/10\.0\.0\.1:6443 has the UID here in namespace kube-system, and the other one had there\. Nothing more is deleted\. .* pulumi state delete --all --yes\n$/,
  );
});

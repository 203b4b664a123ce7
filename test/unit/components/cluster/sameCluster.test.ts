/** Tests of components/cluster/sameCluster.sh. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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

it("the same cluster passes", () => {
  expect(run("printf there")).toMatchObject({ status: 0, stderr: "" });
});

it("a cluster that does not answer passes", () => {
  expect(run("exit 1")).toMatchObject({ status: 0, stderr: "" });
});

it("without an identity nothing is compared", () => {
  expect(run("printf here", {})).toMatchObject({ status: 0, stderr: "" });
});

it("another cluster fails, and both are named", () => {
  const kubectl = 'case "$*" in *view*) printf https://10.0.0.1:6443 ;; *) printf here ;; esac';
  const env = { ISTIO_LAB_CLUSTER: "there", ISTIO_LAB_CONTEXT: "prod", KUBECONFIG: "/k" };
  const { status, stderr } = run(kubectl, env);
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^error: \/k, context prod, leads to another cluster .*: https:\/\/10\.0\.0\.1:6443 has the UID here in namespace kube-system, and the other one had there\. Nothing more is deleted\. .* pulumi state delete --all --yes\n$/,
  );
});

/** Tests of components/istio/claim.sh. */
import { describe, expect, it, vi } from "vitest";
import { checkIstioctl } from "../../../../components/istio/istioctl.ts";
import {
  type FakeCluster,
  fakeCluster,
  OWNER,
  runScript,
  runShell,
  SCRIPTS,
} from "../../../support/fakeIstioCluster.ts";

describe("claim.sh", () => {
  it("claims a cluster without Istio", () => {
    const { status, calls, inputs } = runScript("claim.sh");
    expect(status).toBe(0);
    expect(calls).toContain("kubectl apply --server-side --field-manager=istio-lab --filename=-");
    expect(inputs).toContain(`    istio-lab/owner: ${OWNER}`);
    expect(inputs.join()).not.toContain("existed");
  });

  it("records that the namespace existed before", () => {
    expect(runScript("claim.sh", { existed: true }).inputs).toContain("    istio-lab/namespace: existed");
  });

  it("lets Istio's pods into its own namespace where the cluster's Pod Security refuses them", () => {
    const label = "kubectl label namespace istio-system pod-security.kubernetes.io/enforce=privileged";
    const { status, stdout, calls, inputs } = runScript("claim.sh", { restricted: true });
    expect(status).toBe(0);
    expect(calls).toContain(label);
    expect(stdout).toContain(
      "namespace istio-system gets the label pod-security.kubernetes.io/enforce=privileged",
    );
    expect(inputs).toContain("  volumes: []");
    expect(runScript("claim.sh", { restricted: true, owner: OWNER }).calls).toContain(label);
    for (const there of [
      { restricted: true, existed: true },
      { restricted: true, existed: true, owner: OWNER },
    ])
      expect(runScript("claim.sh", there).calls).not.toContain(label);
    expect(runScript("claim.sh").calls).not.toContain(label);
    const cni = runScript("claim.sh", {}, { ISTIO_LAB_CNI: "true" });
    expect(cni.inputs.join()).toContain("hostPath: {path: /opt/cni/bin}");
  });

  it("does nothing where the claim is its own", () => {
    const { status, calls } = runScript("claim.sh", { owner: OWNER });
    expect(status).toBe(0);
    expect(calls.join()).not.toContain("apply");
  });

  it.each<[string, FakeCluster, string]>([
    [
      "another stack's Istio",
      { owner: "organization/istio-lab/prod" },
      "installed by stack organization/istio-lab/prod; to use it",
    ],
    [
      "an Istio without an owner",
      { planes: "istio-system/istiod " },
      "that this stack did not install (istio-system/istiod): set istio.manage to false",
    ],
    [
      "an istioctl of another minor",
      { istioctl: "1.30.4" },
      "istioctl on PATH is version 1.30.4, and istio.version is 1.31.0: set",
    ],
    [
      "no istioctl",
      { istioctl: "" },
      "istioctl is not on PATH; get version 1.31.0: curl -L https://istio.io/",
    ],
  ])("refuses %s and touches nothing", (_, cluster, message) => {
    const { status, stderr, calls } = runScript("claim.sh", cluster);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(calls.join()).not.toContain("apply");
  });

  it.each(["1.30.4", ""])("refuses istioctl %j in the words of the preflight", async (istioctl) => {
    const root = fakeCluster({ istioctl });
    const { stderr } = runShell(root, `exec sh ${SCRIPTS}/claim.sh`);
    vi.stubEnv("PATH", `${root}/bin`);
    const config = { istio: { version: "1.31.0", manage: true } };
    const { faults } = await checkIstioctl({ config, owner: OWNER, signal: AbortSignal.timeout(10_000) });
    vi.unstubAllEnvs();
    expect(stderr.trim()).toBe(`error: ${faults[0]?.message}`);
  });

  it("talks to the configured context", () => {
    const { calls } = runScript("claim.sh", {}, { ISTIO_LAB_CONTEXT: "my lab" });
    const toKubectl = calls.filter((call) => call.startsWith("kubectl"));
    expect(toKubectl.every((call) => call.includes("--context=my lab"))).toBe(true);
  });
});

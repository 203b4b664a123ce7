/** Tests of components/istio/istio.ts. */
import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it } from "vitest";
import { Istio, type IstioArgs } from "../../../../components/istio/istio.ts";
import { find, settled, startMocks } from "../../../support/mocks.ts";

afterEach(() => pulumi.runtime.disconnect());

const OWNER = "organization/istio-lab/dev";

describe("Istio", () => {
  const ARGS: IstioArgs = { version: "1.31.0", profile: "demo", owner: OWNER };

  it("claims, installs, waits; only the claim's deletion uninstalls", async () => {
    const resources = await startMocks();
    const istio = new Istio("istio", ARGS);
    expect(await settled(istio.gatewayService)).toBe("istio-system/istio-ingressgateway");
    await pulumi.runtime.disconnect();
    const commands = resources.filter(({ type }) => type === "command:local:Command");
    expect(
      Object.fromEntries(
        commands.map(({ name, inputs }) => [name, [inputs.create, inputs.update, inputs.delete]]),
      ),
    ).toEqual({
      "istio-claim": [script("claim.sh"), script("claim.sh"), script("uninstall.sh")],
      istio: [script("install.sh"), script("install.sh"), undefined],
      "istio-istiod": [script("wait.sh istiod"), script("wait.sh istiod"), undefined],
      "istio-gateway": [script("wait.sh gateway"), script("wait.sh gateway"), undefined],
    });
    for (const { inputs } of commands) {
      expect(inputs).toMatchObject({
        addPreviousOutputInEnv: false,
        environment: { ISTIO_LAB_OWNER: "organization/istio-lab/dev", ISTIO_LAB_VERSION: "1.31.0" },
      });
    }
  });

  it("hands kubeconfig and context to its scripts only when they are configured", async () => {
    const resources = await startMocks();
    new Istio("plain", { ...ARGS, kubeconfig: "", context: "" });
    new Istio("given", { ...ARGS, kubeconfig: "/home/me/.kube/lab", context: "lab" });
    await pulumi.runtime.disconnect();
    expect(find(resources, "plain-claim").inputs.environment).not.toHaveProperty("KUBECONFIG");
    expect(find(resources, "plain-claim").inputs.environment).not.toHaveProperty("ISTIO_LAB_CONTEXT");
    expect(find(resources, "given-claim").inputs.environment).toMatchObject({
      KUBECONFIG: "/home/me/.kube/lab",
      ISTIO_LAB_CONTEXT: "lab",
    });
  });

  it("passes its gates the revision and gateway to wait for, where they are set", async () => {
    const resources = await startMocks();
    const gateway = { namespace: "ingress", service: "door", selector: { istio: "door" } };
    const istio = new Istio("istio", { ...ARGS, manage: false, revision: "stable", gateway });
    expect(await settled(istio.gatewayService)).toBe("ingress/door");
    expect(istio.sidecar).toBe("stable");
    expect(istio.reinstall).toBeUndefined();
    await pulumi.runtime.disconnect();
    expect(find(resources, "istio-gateway").inputs.environment).toMatchObject({
      ISTIO_LAB_GATEWAY: "ingress/door",
      ISTIO_LAB_REVISION: "stable",
    });
  });

  it("passes its claim the gateways that it can install, those of the settings among them", async () => {
    const resources = await startMocks();
    const components = { ingressGateways: [{ name: "door", namespace: "ingress" }, { name: "side" }] };
    new Istio("istio", { ...ARGS, components });
    await pulumi.runtime.disconnect();
    expect(find(resources, "istio-claim").inputs.environment.ISTIO_LAB_GATEWAYS).toBe(
      "istio-system/istio-ingressgateway istio-system/istio-egressgateway ingress/door istio-system/side",
    );
  });
});

function script(command: string): string {
  return `exec sh components/istio/${command}`;
}

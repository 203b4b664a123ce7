/** Tests of components/istio/wait.sh. */
import { describe, expect, it } from "vitest";
import { fakeCluster, OWNER, runScript, runShell, SCRIPTS } from "../../../support/fakeIstioCluster.ts";

describe("install.sh and wait.sh", () => {
  it("hand standard input to istioctl", () => {
    const { status, calls } = runScript("install.sh", { owner: OWNER });
    expect(status).toBe(0);
    expect(calls).toEqual(["istioctl install --skip-confirmation --readiness-timeout=5m --filename=-"]);
  });

  it("end the wait as soon as the install has failed", () => {
    const root = fakeCluster({ owner: OWNER, installFails: true, absent: true });
    // Both have one parent, the shell that runs them, as they have the plugin.
    const { status, stderr } = runShell(root, `sh ${SCRIPTS}/install.sh; sh ${SCRIPTS}/wait.sh istiod`);
    expect(status).toBe(1);
    expect(stderr).toContain("error: the installation of Istio failed; see the error of its own command");
  });

  it.each(["istiod", "gateway"])("end when %s is ready", (part) => {
    expect(runScript(`wait.sh ${part}`, { owner: OWNER })).toMatchObject({ status: 0 });
  });

  it.each([
    ["default", "", "app=istiod"],
    ["canary", "", "app=istiod,istio.io/rev=canary"],
    ["stable", "1-31", "app=istiod,istio.io/rev=1-31"],
  ])("wait for the istiod of revision or tag %s (%s)", (revision, tagged, selector) => {
    const env = { ISTIO_LAB_REVISION: revision };
    const { status, calls } = runScript("wait.sh istiod", { owner: OWNER, tagged }, env);
    expect(status).toBe(0);
    expect(calls.join("\n")).toContain(`get deployments --all-namespaces --selector=${selector} `);
  });

  it("do not wait for an istiod outside the cluster", () => {
    const external = "https://istiod.example.org/inject";
    const env = { ISTIO_LAB_MANAGE: "false" };
    const { status, calls } = runScript("wait.sh istiod", { owner: OWNER, absent: true, external }, env);
    expect(status).toBe(0);
    expect(calls.join("\n")).not.toContain("get deployments");
  });

  it("take the gateway's ports by number where they have other names", () => {
    const gatewayPorts = "health/15021/30580 web/80/30934";
    expect(runScript("wait.sh gateway", { owner: OWNER, gatewayPorts })).toMatchObject({ status: 0 });
  });

  it.each(["status-port/15021/ http2/80/", "http2/80/30934", "status-port/15021/30580 http2/80/"])(
    "wait while the gateway's Service has the ports %s",
    (gatewayPorts) => {
      // The failed install ends the wait.
      const root = fakeCluster({ owner: OWNER, installFails: true, gatewayPorts });
      const { status } = runShell(root, `sh ${SCRIPTS}/install.sh; sh ${SCRIPTS}/wait.sh gateway`);
      expect(status).toBe(1);
    },
  );
});

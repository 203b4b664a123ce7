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
    // One parent for both, as the plugin is: the shell that runs them.
    const { status, stderr } = runShell(root, `sh ${SCRIPTS}/install.sh; sh ${SCRIPTS}/wait.sh istiod`);
    expect(status).toBe(1);
    expect(stderr).toContain("error: the installation of Istio failed; see the error of its own command");
  });

  it.each(["istiod", "gateway"])("end when %s is ready", (part) => {
    expect(runScript(`wait.sh ${part}`, { owner: OWNER })).toMatchObject({ status: 0 });
  });
});

/** Tests of embedded/lab/alerts.ts. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { instance } from "../../../../embedded/host/instance.ts";
import { alertsOf } from "../../../../embedded/lab/alerts.ts";

const MONITORING = {
  namespace: "observe",
  service: "prometheus",
  port: 9090,
  scrapeSeconds: 2,
  gateway: "istio-ingressgateway",
};

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "istio-lab-alerts-"));
  vi.stubEnv("XDG_CACHE_HOME", home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

/** In place of the lab's kubectl. */
async function kubectl(script: string): Promise<void> {
  await mkdir(join(home, "istio-lab/tools"), { recursive: true });
  await writeFile(join(home, "istio-lab/tools/kubectl"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

test("alerts that fire, each with its summary", async () => {
  const alert = (alertname: string, state: string) => ({
    state,
    labels: { alertname },
    annotations: { summary: `${alertname} is so` },
  });
  const alerts = [alert("NoIngressGateway", "firing"), alert("VersionSlow", "pending")];
  await kubectl(`case "$*" in
  *"get --raw /api/v1/namespaces/observe/services/prometheus:9090/proxy/api/v1/alerts "*)
    echo '${JSON.stringify({ status: "success", data: { alerts } })}' ;;
  *) exit 1 ;;
esac`);
  const found = await alertsOf(instance("alerts-unit"), { monitoring: MONITORING });
  expect(found).toEqual(["NoIngressGateway: NoIngressGateway is so"]);
});

test("a Prometheus that does not answer counts as an alert, in the API server's words", async () => {
  await kubectl("echo 'no endpoints available for service' >&2; exit 1");
  const found = await alertsOf(instance("alerts-unit"), { monitoring: MONITORING });
  expect(found).toEqual(["Prometheus does not answer: no endpoints available for service"]);
});

test.each([
  ["is off", undefined],
  ["is a Prometheus of the user's own", { ...MONITORING, url: "http://prometheus:9090" }],
])("no alerts where monitoring %s", async (_, monitoring) => {
  expect(await alertsOf(instance("alerts-unit"), { monitoring })).toEqual([]);
});

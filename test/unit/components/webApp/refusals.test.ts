/** Tests of components/webApp/refusals.ts. */
import { expect, it, vi } from "vitest";
import { watchRefusals } from "../../../../components/webApp/refusals.ts";
import { OWNER } from "../../../support/preflight.ts";
import { server } from "../../../support/queuedAnswers.ts";

vi.mock("../../../../clients/kubernetes.ts", () => import("../../../support/queuedAnswers.ts"));

const deployment = (name: string, message: string, owner = OWNER) => ({
  kind: "Deployment",
  metadata: { name, namespace: "shop", annotations: { "istio-lab/owner": owner } },
  status: {
    conditions: [
      { type: "Available", status: "False", message: "no" },
      { type: "ReplicaFailure", status: "True", message },
    ],
  },
});
const config = {
  namespace: "shop",
  versions: [{ name: "v116", version: "1.16", image: "nginx:none", replicas: 3, page: "v1.16" }],
  istio: { version: "1.31.0", manage: true },
};
const args = { cluster: {}, config, owner: OWNER };

/** The reports of these reads, each of which finds the next objects. */
async function reported(...looks: object[][]): Promise<string[]> {
  const warnings: string[] = [];
  let passed = -1;
  const pause = async () => {
    passed++;
    server.items = looks[passed] ?? [];
  };
  await watchRefusals(
    args,
    () => passed >= looks.length,
    (warning) => warnings.push(warning),
    pause,
  );
  return warnings;
}

it("reports a refusal once, in the API server's words, with the way out", async () => {
  const refused = deployment("nginx-v116", 'pods "x" is forbidden: exceeded quota: few');
  expect(await reported([], [refused], [refused])).toEqual([
    expect.stringMatching(
      /^Deployment nginx-v116 gets no pods: pods "x" is forbidden: exceeded quota: few: set resources of each version/,
    ),
  ]);
});

it("reports a ReplicaSet that is refused itself", async () => {
  const message = 'replicasets.apps "nginx-v116-1" is forbidden: exceeded quota: sets';
  const conditions = [{ type: "Progressing", status: "False", reason: "ReplicaSetCreateError", message }];
  const refused = { ...deployment("nginx-v116", ""), status: { conditions } };
  expect(await reported([refused])).toEqual([
    expect.stringMatching(
      /^Deployment nginx-v116 gets no pods: replicasets\.apps .* exceeded quota: sets: set/,
    ),
  ]);
});

it("does not report Deployments of other owners, and looks at none where all are ready at once", async () => {
  expect(await reported([deployment("nginx-v1", "no", "organization/istio-lab/prod")])).toEqual([]);
  expect(await reported()).toEqual([]);
});

it("reports pods that do not start, of the application and of Istio, once each", async () => {
  const pod = (name: string, labels: object, reason: string) => ({
    metadata: { name, labels },
    status: { containerStatuses: [{ name: "main", image: "none", state: { waiting: { reason } } }] },
  });
  const first = pod("nginx-v116-1", { app: "nginx", version: "1.16" }, "ErrImagePull");
  const later = pod("nginx-v116-2", { app: "nginx", version: "1.16" }, "ImagePullBackOff");
  const warnings = await reported([], [first], [later]);
  expect(warnings).toEqual([
    expect.stringMatching(
      /^pods of Deployment nginx-v116 do not start: container main has no image none: ErrImagePull: correct image/,
    ),
    expect.stringMatching(/^pods of nginx in namespace istio-system do not start: /),
  ]);
});

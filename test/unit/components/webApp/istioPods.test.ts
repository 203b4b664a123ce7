/** Tests of components/webApp/istioPods.ts. */
import { expect, it } from "vitest";
import { stalledIstio } from "../../../../components/webApp/istioPods.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";

const APPS = "/apis/apps/v1/namespaces/istio-system";
const CORE = "/api/v1/namespaces/istio-system";
const violates = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": seccompProfile';

const warnings = async (paths: Paths) => {
  const { api } = await apiOf(paths);
  return (await stalledIstio(api)).map(({ message }) => message);
};

it("names a Deployment whose pods are refused, with the command that lets them in", async () => {
  const conditions = [{ type: "ReplicaFailure", status: "True", message: violates }];
  const istiod = { metadata: { name: "istiod" }, status: { conditions } };
  expect(await warnings({ [`${APPS}/deployments`]: { items: [istiod] } })).toEqual([
    `Deployment istiod in namespace istio-system gets no pods: ${violates}: let the namespace run them ` +
      "(kubectl label --overwrite namespace istio-system pod-security.kubernetes.io/enforce=privileged)",
  ]);
});

it("names a DaemonSet that has too few pods in the words of its event", async () => {
  const cni = (currentNumberScheduled: number) => ({
    [`${APPS}/daemonsets`]: {
      items: [
        {
          metadata: { name: "istio-cni-node", uid: "u" },
          status: { desiredNumberScheduled: 2, currentNumberScheduled },
        },
      ],
    },
    [`${CORE}/events`]: { items: [{ metadata: { name: "e" }, message: `Error creating: ${violates}` }] },
  });
  expect(await warnings(cni(0))).toEqual([
    expect.stringContaining(
      `DaemonSet istio-cni-node in namespace istio-system gets no pods: ${violates}: let`,
    ),
  ]);
  expect(await warnings(cni(2))).toEqual([]);
});

it("names pods that do not start, and has nothing to say of an Istio that is not there", async () => {
  const waiting = { reason: "ErrImagePull", message: "no such host" };
  const pod = {
    metadata: { name: "p", labels: { "k8s-app": "istio-cni-node" } },
    status: { containerStatuses: [{ name: "install-cni", image: "none", state: { waiting } }] },
  };
  const query = `labelSelector=${encodeURIComponent("install.operator.istio.io/owning-resource")}`;
  expect(await warnings({ [`${CORE}/pods?${query}`]: { items: [pod] } })).toEqual([
    expect.stringMatching(
      /^pods of istio-cni-node in namespace istio-system do not start: .*: set istio\.hub/,
    ),
  ]);
  expect(await warnings({})).toEqual([]);
});

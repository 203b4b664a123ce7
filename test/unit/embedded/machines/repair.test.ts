/** Tests of embedded/machines/repair.ts. */
import { expect, test } from "vitest";
import { instance } from "../../../../embedded/host/instance.ts";
import { replacePods } from "../../../../embedded/machines/repair.ts";
import { apiOf } from "../../../support/clusterServer.ts";

const lab = instance("repair-unit", { workers: 1 });

test("the pods of a machine that was off are deleted, those of no other", async () => {
  const pods = [
    { metadata: { name: "a", namespace: "default" } },
    { metadata: { name: "b", namespace: "istio-system" } },
  ];
  const { api, requests } = await apiOf({
    [`/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${lab.workers[0]?.name}`)}`]: {
      items: pods,
    },
    "/api/v1/namespaces/default/pods/a": {},
    "/api/v1/namespaces/istio-system/pods/b": {},
    "/api/v1/pods": { items: [] },
    "/apis/apps/v1/deployments": { items: [] },
  });
  await replacePods(lab, api, lab.workers);
  expect(requests.filter((request) => request.startsWith("DELETE")).sort()).toEqual([
    "DELETE /api/v1/namespaces/default/pods/a",
    "DELETE /api/v1/namespaces/istio-system/pods/b",
  ]);
});

test("no machine was off: nothing is read", async () => {
  const { api, requests } = await apiOf({});
  await replacePods(lab, api, []);
  expect(requests).toEqual([]);
});

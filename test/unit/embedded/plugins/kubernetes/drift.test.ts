/** Tests of embedded/plugins/kubernetes/drift.ts. */
import { expect, test } from "vitest";
import type { KubernetesObject } from "../../../../../embedded/plugins/kubernetes/cluster.ts";
import { liveInputs } from "../../../../../embedded/plugins/kubernetes/drift.ts";

test("a read shows changes, but only of fields that the program sets", () => {
  const inputs = {
    apiVersion: "x.io/v1",
    kind: "Widget",
    metadata: { name: "w", labels: { ours: "1" } },
    spec: {
      cpu: "1000m",
      route: [
        { name: "a", weight: 50 },
        { name: "b", weight: 50 },
      ],
    },
  };
  const recorded = {
    ...inputs,
    spec: {
      cpu: "1",
      route: [
        { name: "a", weight: 50, x: 0 },
        { name: "b", weight: 50, x: 0 },
      ],
      added: true,
    },
  };
  const live = {
    ...recorded,
    metadata: { name: "w", namespace: "default", labels: { theirs: "2" }, annotations: { more: "y" } },
    spec: {
      ...recorded.spec,
      route: [
        { name: "a", weight: 1, x: 0 },
        { name: "b", weight: 50, x: 7 },
      ],
    },
  };
  expect(liveInputs(inputs, recorded, live as unknown as KubernetesObject)).toEqual({
    ...inputs,
    metadata: { name: "w", labels: {} },
    spec: {
      cpu: "1000m",
      route: [
        { name: "a", weight: 1 },
        { name: "b", weight: 50 },
      ],
    },
  });
});

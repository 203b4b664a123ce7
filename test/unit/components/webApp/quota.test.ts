/** Tests of components/webApp/quota.ts. */
import { describe, expect, it } from "vitest";
import {
  type Demand,
  type PodSpec,
  type ResourceQuota,
  shortagesOf,
} from "../../../../components/webApp/quota.ts";

const of = (cpu: string, memory = "128Mi") => ({
  resources: { requests: { cpu, memory }, limits: { cpu: "1", memory: "256Mi" } },
});
const POD: PodSpec = { containers: [of("100m"), of("200m")], initContainers: [of("100m")] };
const demand = (pods: number, change: Partial<Demand> = {}): Demand => ({
  pods,
  pod: POD,
  deployment: true,
  ...change,
});
const quota = (
  hard: Record<string, string>,
  used: Record<string, string> = {},
  spec = {},
): ResourceQuota => ({
  metadata: { name: "few" },
  spec: { hard, ...spec },
  status: { hard, used },
});

describe("a quota has room", () => {
  it.each<[string, Record<string, string>, Record<string, string>]>([
    ["pods", { pods: "6" }, { pods: "0" }],
    ["pods besides those of others", { "count/pods": "8" }, { "count/pods": "2" }],
    ["fractions of cores that add up to it exactly", { "requests.cpu": "1800m" }, { "requests.cpu": "0" }],
    ["memory in another unit", { "limits.memory": "3Gi" }, {}],
    ["Deployments", { "count/deployments.apps": "2", "count/replicasets.apps": "2" }, {}],
    ["none of what the pods do not use", { "requests.storage": "0", services: "0" }, {}],
    ["too little already, of what is not needed", { secrets: "1" }, { secrets: "3" }],
  ])("for %s", (_, hard, used) => {
    expect(shortagesOf([quota(hard, used)], [demand(3), demand(3)])).toEqual([]);
  });

  it("for pods that run already, whatever is used", () => {
    const full = quota({ pods: "6", "requests.cpu": "1" }, { pods: "6", "requests.cpu": "1800m" });
    expect(shortagesOf([full], [demand(0, { deployment: false })])).toEqual([]);
  });
});

describe("a quota has no room for all pods together", () => {
  it.each<[Record<string, string>, Record<string, string>, string]>([
    [{ pods: "5" }, {}, "pods 5, of which 0 is used and 6 more is needed"],
    [{ pods: "7" }, { pods: "2" }, "pods 7, of which 2 is used and 6 more is needed"],
    [{ cpu: "1799m" }, {}, "cpu 1799m, of which 0 is used and 1.8 more is needed"],
    [{ memory: "1G" }, {}, "memory 1G, of which 0 is used and 1536Mi more is needed"],
    [{ "limits.cpu": "11" }, {}, "limits.cpu 11, of which 0 is used and 12 more is needed"],
    [
      { "count/deployments.apps": "1" },
      {},
      "count/deployments.apps 1, of which 0 is used and 2 more is needed",
    ],
  ])("%j, of which %j is used", (hard, used, words) => {
    expect(shortagesOf([quota(hard, used)], [demand(3), demand(3)])).toEqual([
      `ResourceQuota few allows ${words}`,
    ]);
  });

  it("where the controller has not counted yet, the quota's own numbers hold", () => {
    const fresh = { metadata: { name: "few" }, spec: { hard: { pods: "5" } } };
    expect(shortagesOf([fresh], [demand(6)])).toHaveLength(1);
  });
});

describe("the resources of a pod", () => {
  const needs = (pod: PodSpec, cpu: string) =>
    shortagesOf([quota({ "requests.cpu": cpu })], [demand(1, { pod })]).length === 0;

  it.each<[string, PodSpec, string, string]>([
    ["are those of the containers together", POD, "300m", "299m"],
    ["are those of a large init container alone", { ...POD, initContainers: [of("2")] }, "2", "1999m"],
    [
      "are those of a sidecar among the init containers too",
      { containers: [of("100m")], initContainers: [{ ...of("200m"), restartPolicy: "Always" }] },
      "300m",
      "299m",
    ],
    [
      "are those of an init container and the sidecars before it",
      { containers: [of("1m")], initContainers: [{ ...of("200m"), restartPolicy: "Always" }, of("1")] },
      "1200m",
      "1199m",
    ],
    ["are more by a runtime's overhead", { ...POD, overhead: { cpu: "50m" } }, "350m", "349m"],
  ])("%s", (_, pod, enough, tooLittle) => {
    expect([needs(pod, enough), needs(pod, tooLittle)]).toEqual([true, false]);
  });
});

describe("a quota with a scope", () => {
  const scoped = (spec: object, pod: PodSpec = POD) =>
    shortagesOf([quota({ pods: "0" }, {}, spec)], [demand(1, { pod })]).length > 0;
  const priority = (operator: string, ...values: string[]) => ({
    scopeSelector: { matchExpressions: [{ scopeName: "PriorityClass", operator, values }] },
  });
  const high: PodSpec = { ...POD, priorityClassName: "high" };

  it.each<[string, object, PodSpec, boolean]>([
    ["of pods that end", { scopes: ["Terminating"] }, POD, false],
    ["of pods that do not end", { scopes: ["NotTerminating"] }, POD, true],
    ["of pods without resources", { scopes: ["BestEffort"] }, POD, false],
    ["of pods without resources, as these are", { scopes: ["BestEffort"] }, { containers: [{}] }, true],
    ["of pods with resources", { scopes: ["NotBestEffort"] }, POD, true],
    ["of another priority", priority("In", "high"), POD, false],
    ["of this priority", priority("In", "high"), high, true],
    ["of any priority but this", priority("NotIn", "high"), high, false],
    ["of any priority", priority("Exists"), high, true],
    ["of no priority", priority("DoesNotExist"), POD, true],
    ["that does not concern these pods", { scopes: ["CrossNamespacePodAffinity"] }, POD, false],
  ])("%s", (_, spec, pod, counts) => {
    expect(scoped(spec, pod)).toBe(counts);
  });
});

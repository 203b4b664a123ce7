/** Settings of Istio. */
import { expect, it } from "vitest";
import { faultsOf } from "../../../support/settings.ts";

it.each<[string, unknown, string]>([
  [
    "a misspelt field",
    { verson: "1.31.0" },
    "istio.verson is no key of this project (did you mean version?); the keys are version, profile, " +
      "hub, tag, values, components, revision, gateway, manage",
  ],
  ["half a version", { version: "1.31" }, 'istio.version is "1.31": give a version, e.g. 1.31.0'],
  [
    "a profile without the gateway that the load balancer leads to",
    { profile: "minimal" },
    'istio.profile is "minimal": give the name of a profile that has an ingress gateway, e.g. demo or ' +
      "default",
  ],
  ["a switch in words", { manage: "yes" }, 'istio.manage is "yes": give true or false'],
  [
    "a list",
    [],
    "istio is []: give an object with version, profile, hub, tag, values, components, revision, " +
      "gateway, manage",
  ],
])("reports %s", (_, istio, line) => {
  expect(faultsOf({ istio })).toEqual([line]);
});

it("takes a revision and another gateway only for an Istio that is there already", () => {
  const gateway = { namespace: "ingress", service: "door", selector: { istio: "door" } };
  const given = { revision: "stable", gateway };
  expect(faultsOf({ istio: { ...given, manage: false } })).toEqual([]);
  expect(faultsOf({ istio: given })).toEqual([
    'istio.revision is "stable": it is for an Istio that is there already: set istio.manage to false, ' +
      "or leave it out",
    expect.stringMatching(
      /^istio\.gateway is .*: it is for an Istio that is there already: set istio\.manage/,
    ),
  ]);
});

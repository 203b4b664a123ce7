/** Settings of the web application. */
import { describe, expect, it } from "vitest";
import { faultsOf, settings } from "../../../support/settings.ts";

const V116 = { name: "v116", version: "1.16", image: "nginx:1.16.1" };
const V117 = { name: "v117", version: "1.17", image: "nginx:1.17.9" };

describe("versions and namespace", () => {
  it.each<[string, Record<string, unknown>, string[]]>([
    [
      "a version twice",
      { versions: [V116, { ...V117, name: "v116" }], weights: { v116: 100 } },
      ['versions[1].name is "v116": versions[0] has the same: give each version a name of its own'],
    ],
    [
      "a version label twice",
      { versions: [V116, { ...V117, version: "1.16" }] },
      [
        'versions[1].version is "1.16": versions[0] has the same: give each version a label of its ' +
          "own, or their pods mix",
      ],
    ],
    [
      "a page twice",
      { versions: [V116, { ...V117, page: "v1.16.1\n" }] },
      ['versions[1].page is "v1.16.1\\n": versions[0] has the same: give each version a page of its own'],
    ],
    ["no versions", { versions: [] }, ["versions is []: give at least one version"]],
    [
      "a version label that YAML reads as a number",
      { versions: [V116, { ...V117, version: 1.17 }] },
      ['versions[1].version is 1.17: give a label value in quotes, e.g. "1.16"'],
    ],
    [
      "a bad image",
      { versions: [V116, { ...V117, image: "nginx 1.17" }] },
      ['versions[1].image is "nginx 1.17": give an image reference, e.g. nginx:1.16.1'],
    ],
    [
      "an image that makes no page",
      { versions: [V116, { ...V117, image: "registry.example.org:5000/nginx" }] },
      [
        "versions[1].page is missing: the image registry.example.org:5000/nginx has no tag to make it " +
          "of; give a text that distinguishes this version from the others",
      ],
    ],
    [
      "no replicas",
      { versions: [V116, { ...V117, replicas: 0 }] },
      ["versions[1].replicas is 0: give an integer from 1 to 1000"],
    ],
    [
      "a misspelt field of a version",
      { versions: [V116, { ...V117, imgae: "nginx:1.17.9" }] },
      [
        "versions[1].imgae is no key of this project (did you mean image?); the keys are name, " +
          "version, image, replicas, resources, securityContext, page",
      ],
    ],
    [
      "half a version",
      { versions: [V116, { name: "v117" }] },
      [
        'versions[1].version is missing: give a label value in quotes, e.g. "1.16"',
        "versions[1].image is missing: give an image reference, e.g. nginx:1.16.1",
      ],
    ],
    ["a bad namespace", { namespace: "My Apps" }, ['namespace is "My Apps": give a DNS label, e.g. default']],
  ])("reports %s", (_, change, lines) => {
    expect(faultsOf(change)).toEqual(lines);
  });

  it.each(["kube-system", "kube-public", "kube-node-lease", "istio-system"])(
    "refuses namespace %s, where Istio injects no sidecar",
    (namespace) => {
      expect(faultsOf({ namespace })).toEqual([
        `namespace is "${namespace}": Istio injects no sidecar there: give a namespace of your own, or ` +
          "default",
      ]);
    },
  );

  it("makes a page of the image's tag, also behind a port and before a digest", () => {
    const image = `registry.example.org:5000/a/nginx:1.16.1@sha256:${"0".repeat(64)}`;
    const { versions } = settings({ versions: [{ ...V116, image }, V117] });
    expect(versions.map(({ page }) => page)).toEqual(["v1.16.1\n", "v1.17.9\n"]);
  });

  it("takes pages that fill a ConfigMap, and refuses one byte more", () => {
    const names = Array.from({ length: 17 }, (_, index) => `v${index + 10}`);
    const versions = (page: (index: number) => string) =>
      names.map((name, index) => ({ name, version: name, image: "nginx:1", page: page(index) }));
    const weights = Object.fromEntries(names.map((name, index) => [name, index === 0 ? 100 : 0]));
    const page = (index: number) => {
      const start = `${names[index]} `;
      // 16 pages of 65,536 bytes are 1 MiB: the seventeenth makes room for the names.
      const bytes = index < 16 ? 61_680 : 1_048_576 - 16 * 61_680 - 17 * 3;
      return start.padEnd(bytes, "x");
    };
    expect(faultsOf({ versions: versions(page), weights })).toEqual([]);
    const longer = versions((index) => (index === 0 ? `${page(0)}x` : page(index)));
    expect(faultsOf({ versions: longer, weights })).toEqual([
      expect.stringMatching(
        /^versions is \[.*: their pages have 1048577 bytes in all, and one ConfigMap holds them, 1048576 at most: /,
      ),
    ]);
  });

  it("takes resources and a security context for each version", () => {
    const resources = { requests: { cpu: 0.1, memory: "32Mi" }, limits: { cpu: "100m", memory: "1Gi" } };
    const { versions } = settings({
      versions: [{ ...V116, resources, securityContext: "restricted" }, V117],
    });
    expect(versions[0]).toMatchObject({
      resources: { requests: { cpu: "0.1", memory: "32Mi" }, limits: { cpu: "100m", memory: "1Gi" } },
      securityContext: "restricted",
    });
    expect(versions[1]).not.toHaveProperty("resources");
  });

  it.each<[unknown, string[]]>([
    [
      { resources: { requests: { cpu: "2", memory: "1Gi" }, limits: { cpu: "1500m", memory: "1000M" } } },
      [
        'versions[0].resources.requests.cpu is "2": give 1500m at most, the limit in ' +
          "versions[0].resources.limits.cpu",
        'versions[0].resources.requests.memory is "1Gi": give 1000M at most, the limit in ' +
          "versions[0].resources.limits.memory",
      ],
    ],
    [
      {
        resources: {
          requests: { "ephemeral-storage": "2Gi" },
          limits: { "ephemeral-storage": "1Gi" },
        },
      },
      [
        'versions[0].resources.requests.ephemeral-storage is "2Gi": give 1Gi at most, the limit in ' +
          "versions[0].resources.limits.ephemeral-storage",
      ],
    ],
    [
      { resources: { limits: { memory: "100m", cpu: true } } },
      [
        "versions[0].resources.limits.cpu is true: give cores or thousandths of one, e.g. 0.5 or 500m",
        'versions[0].resources.limits.memory is "100m": give bytes with a unit, e.g. 64Mi',
      ],
    ],
    [
      { resources: { limit: {} } },
      [
        "versions[0].resources.limit is no key of this project (did you mean limits?); the keys are " +
          "requests, limits",
      ],
    ],
    [
      { securityContext: "privileged" },
      ['versions[0].securityContext is "privileged": give restricted, or leave it out'],
    ],
  ])("reports %j", (change, lines) => {
    expect(faultsOf({ versions: [{ ...V116, ...(change as object) }, V117] })).toEqual(lines);
  });
});

describe("labels", () => {
  it("take names with a prefix", () => {
    const labels = { team: "shop", "app.kubernetes.io/part-of": "lab" };
    expect(settings({ labels }).labels).toEqual(labels);
  });

  it.each([
    [{ app: "shop" }, ['labels.app is "shop": the program gives it a value of its own: leave it out']],
    [{ team: 1 }, ["labels.team is 1: give a label value, in quotes where it is a number"]],
    [["team"], ['labels is ["team"]: give labels as names and values, e.g. team: shop']],
  ])("report %j", (labels, lines) => {
    expect(faultsOf({ labels })).toEqual(lines);
  });
});

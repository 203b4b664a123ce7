/** Tests of embedded/host/instance.ts. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  faultInName,
  findInstance,
  instance,
  isSaved,
  MOST_WORKERS,
  saveInstance,
} from "../../../../embedded/host/instance.ts";
import { overlaps } from "../../../../embedded/host/subnet.ts";

const names = fc.stringMatching(/^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$/);

describe("an instance", () => {
  test("is the same for the same name, and named after it", () => {
    expect(instance("lab")).toEqual(instance("lab"));
    expect(instance("lab").controlPlane.netns).toBe("lab-control-plane");
    expect(instance("lab").workers.map(({ name }) => name)).toEqual([
      "rancher-node02",
      "rancher-node03",
      "rancher-node04",
    ]);
  });

  test("shares no link, namespace, cgroup or directory with one of another name", () => {
    const marks = (name: string) => {
      const lab = instance(name);
      const machines = lab.machines.flatMap(({ link, netns, cgroup, dir }) => [link, netns, cgroup, dir]);
      return [lab.link, lab.switchNetns, lab.cgroup, lab.dir, ...machines];
    };
    fc.assert(
      fc.property(names, names, (one, other) => {
        fc.pre(one !== other);
        expect(marks(one).filter((mark) => marks(other).includes(mark))).toEqual([]);
      }),
    );
  });

  test("has links of at most 15 characters and addresses of its own subnet", () => {
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: MOST_WORKERS }), (name, workers) => {
        const lab = instance(name, { workers });
        expect(lab.workers).toHaveLength(workers);
        for (const link of [lab.link, ...lab.machines.map((machine) => machine.link)])
          expect(link.length).toBeLessThan(16);
        for (const { address } of lab.machines) expect(overlaps(address, lab.subnet)).toBe(true);
        expect(new Set(lab.machines.map(({ address }) => address)).size).toBe(lab.machines.length);
      }),
    );
  });

  test("takes another subnet that is given", () => {
    expect(instance("lab", { prefix: "10.211.7" }).subnet).toBe("10.211.7.0/24");
    expect(instance("lab", { prefix: "10.211.7" }).loadBalancer.address).toBe("10.211.7.20");
  });
});

test("a lab that exists keeps its subnet and its number of workers", async () => {
  const state = await mkdtemp(join(tmpdir(), "istio-lab-instance-"));
  onTestFinished(() => rm(state, { recursive: true }));
  const lab = await findInstance("kept", { state, prefix: "10.211.7", workers: 1 });
  expect(isSaved("kept", state)).toBe(false);
  await mkdir(lab.dir);
  await saveInstance(lab);
  expect(isSaved("kept", state)).toBe(true);
  expect(await findInstance("kept", { state })).toEqual(lab);
  expect(await findInstance("kept", { state, prefix: "10.211.8", workers: 2 })).toEqual(lab);
});

test.each(["", "Lab", "1lab", "lab-", "a b", "x".repeat(21), "../lab", "lab;rm"])(
  "the name %j is refused",
  (name) => {
    expect(faultInName(name)).toContain("--name");
  },
);

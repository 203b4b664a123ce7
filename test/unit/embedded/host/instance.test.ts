/** Tests of embedded/host/instance.ts. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { faultInName, instance } from "../../../../embedded/host/instance.ts";
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
      fc.property(names, (name) => {
        const lab = instance(name);
        for (const link of [lab.link, ...lab.machines.map((machine) => machine.link)])
          expect(link.length).toBeLessThan(16);
        for (const { address } of lab.machines) expect(overlaps(address, lab.subnet)).toBe(true);
        expect(new Set(lab.machines.map(({ address }) => address)).size).toBe(lab.machines.length);
      }),
    );
  });

  test("takes another subnet that is given", () => {
    expect(instance("lab", "10.211.7").subnet).toBe("10.211.7.0/24");
    expect(instance("lab", "10.211.7").loadBalancer.address).toBe("10.211.7.20");
  });
});

test.each(["", "Lab", "1lab", "lab-", "a b", "x".repeat(21), "../lab", "lab;rm"])(
  "the name %j is refused",
  (name) => {
    expect(faultInName(name)).toContain("--name");
  },
);

/** Tests of embedded/host/subnet.ts. */
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { run } from "../../../../clients/process.ts";
import { instance } from "../../../../embedded/host/instance.ts";
import { freeSubnet, overlaps, requireFreeSubnet } from "../../../../embedded/host/subnet.ts";

const root = process.getuid?.() === 0;

describe("a free subnet", () => {
  test("is in another block where a VPN routes all of 10.0.0.0/8", () => {
    expect(freeSubnet(["10.0.0.0/8"])).toBe("192.168.255.0/24");
    expect(freeSubnet(["10.0.0.0/8", "192.168.0.0/16"])).toBe("172.31.255.0/24");
  });

  test("is the last free one, if only one is free", () => {
    const all = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/17", "192.168.128.0/18", "192.168.192.0/19"];
    expect(freeSubnet([...all, "192.168.240.0/20", "192.168.224.0/21", "192.168.232.0/22"])).toBe(
      "192.168.239.0/24",
    );
  });

  test("does not exist where every private network is in use", () => {
    expect(freeSubnet(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])).toBeUndefined();
  });

  test("overlaps no network in use", () => {
    const octet = fc.integer({ min: 0, max: 255 });
    const network = fc
      .tuple(fc.constantFrom(10, 172, 192), octet, octet, fc.integer({ min: 8, max: 32 }))
      .map(([a, b, c, length]) => `${a}.${b}.${c}.0/${length}`);
    fc.assert(
      fc.property(fc.array(network, { maxLength: 8 }), (taken) => {
        const free = freeSubnet(taken);
        if (free) expect(taken.filter((net) => overlaps(net, free))).toEqual([]);
      }),
    );
  });
});

test.runIf(root)("(needs root) a link in the lab's subnet is named, with a subnet that is free", async () => {
  const lab = instance("subnet-unit");
  await run("ip", ["link", "add", "il-unit", "type", "bridge"]);
  onTestFinished(async () => {
    await run("ip", ["link", "delete", "il-unit"]);
  });
  await run("ip", ["addr", "add", `${lab.prefix}.77/24`, "dev", "il-unit"]);
  await expect(requireFreeSubnet(lab)).rejects.toThrow(
    new RegExp(
      `subnet ${lab.subnet} of lab "subnet-unit" is taken: ${lab.prefix}.77/24 on il-unit.* --subnet ` +
        "\\S+/24 is free",
    ),
  );
});

test.each(["10.244.3", "10.96.0"])("%s.0/24 is refused: the cluster uses it inside the machines", (prefix) =>
  expect(requireFreeSubnet(instance("subnet-unit", { prefix: prefix }))).rejects.toThrow(
    /is taken: .* the lab's/,
  ),
);

test.each([
  ["10.210.17.0/24", "10.210.17.20", true],
  ["10.210.17.0/24", "10.210.18.0/24", false],
  ["10.0.0.0/8", "10.210.17.0/24", true],
  ["192.168.0.0/16", "10.210.17.0/24", false],
  ["10.210.17.128/25", "10.210.17.0/24", true],
])("%s and %s overlap: %s", (one, other, expected) => {
  expect(overlaps(one, other)).toBe(expected);
  expect(overlaps(other, one)).toBe(expected);
});

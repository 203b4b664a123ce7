/** Tests of the words of faults. */
import { describe, expect, it } from "vitest";
import { didYouMean, fault, HIDDEN, listed, unknownKeys } from "../../../settings/faults.ts";

describe("a fault", () => {
  it.each<[unknown, string]>([
    [undefined, "a.b is missing: give one"],
    ["", "a.b is missing: give one"],
    [5, "a.b is 5: give one"],
    [HIDDEN, "a.b is not usable: give one"],
    ["x".repeat(100), `a.b is "${"x".repeat(76)}...: give one`],
  ])("of %j reads so", (value, message) => {
    expect(fault("a.b", value, "give one")).toEqual({ key: "a.b", message });
  });

  it("cannot write to the terminal: a key is printable", () => {
    expect(fault("a\u001b[2J", 1, "x").key).toBe("a?[2J");
  });
});

describe("did you mean", () => {
  const known = ["host", "hostKey", "gatewayHosts", "v116", "v117"];
  it.each([
    ["hostkey", " (did you mean hostKey?)"],
    ["Host", " (did you mean host?)"],
    ["v118", " (did you mean v116?)"],
    ["gatewayhost", " (did you mean gatewayHosts?)"],
    ["replicas", ""],
    ["x".repeat(10_000), ""],
  ])("%.20s%s", (word, meant) => {
    expect(didYouMean(word, known)).toBe(meant);
  });
});

it("names the known keys beside an unknown one", () => {
  expect(unknownKeys(["prot", "port"], ["host", "port"], "loadBalancer.")).toEqual([
    {
      key: "loadBalancer.prot",
      message: "loadBalancer.prot is no key of this project (did you mean port?); the keys are host, port",
    },
  ]);
});

it("counts", () => {
  expect(listed([{ message: "a" }])).toBe("1 fault:\n  a");
  expect(listed([{ message: "a" }, { message: "b" }])).toBe("2 faults:\n  a\n  b");
});

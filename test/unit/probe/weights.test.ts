/** Weights as words of a command line. */
import { describe, expect, it } from "vitest";
import { parseWeights } from "../../../probe/weights.ts";

describe("parseWeights", () => {
  const versions = ["v116", "v117"];
  it.each<[string, string[]]>([
    ["v116=20 v117=80", []],
    ["v116=0 v117=100", []],
    ["v116=20", ["v117: give v117 an integer percent; 0 is legal, 80 makes the sum 100"]],
    ["v116=20 v117=70", ["v116=20 v117=70: the sum is 90; give percents that sum to 100"]],
    [
      "v116=20.5 v117=79.5",
      [
        "v116=20.5: give an integer percent from 0 to 100",
        "v117=79.5: give an integer percent from 0 to 100",
      ],
    ],
    [
      "v116=-20 v117=120",
      ["v116=-20: give an integer percent from 0 to 100", "v117=120: give an integer percent from 0 to 100"],
    ],
    [
      "v116=1e1 v117=",
      ["v116=1e1: give an integer percent from 0 to 100", "v117=: give an integer percent from 0 to 100"],
    ],
    [
      "v116 v117=100",
      [
        "v116: write version=percent, such as v116=20",
        "v116: give v116 an integer percent; 0 is legal, 0 makes the sum 100",
      ],
    ],
    ["v116=50 v116=50 v117=50", ["v116=50: v116 is given twice"]],
    [
      "v118=100",
      [
        "v118=100: no such version (did you mean v116?); the versions are v116, v117",
        "v116: give v116 an integer percent; 0 is legal",
        "v117: give v117 an integer percent; 0 is legal",
      ],
    ],
  ])("%s", (words, faults) => {
    expect(parseWeights(words.split(" "), versions).faults).toEqual(faults);
  });

  it("reads the weights", () => {
    expect(parseWeights(["v116=0", "v117=100"], versions).weights).toEqual({ v116: 0, v117: 100 });
  });
});

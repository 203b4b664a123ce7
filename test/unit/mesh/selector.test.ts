/** Tests of mesh/selector.ts. */
import { expect, it } from "vitest";
import { restrictedTo, selects } from "../../../mesh/selector.ts";

const LABELS = { app: "nginx", version: "1.16" };
const by = (operator: string, key: string, ...values: string[]) => ({
  matchExpressions: [{ key, operator, ...(values.length > 0 ? { values } : {}) }],
});

it.each([
  [{}, true],
  [{ matchLabels: { app: "nginx" } }, true],
  [{ matchLabels: { app: "nginx", tier: "web" } }, false],
  [by("In", "version", "1.16", "1.17"), true],
  [by("In", "tier", "web"), false],
  [by("NotIn", "version", "1.16"), false],
  [by("NotIn", "tier", "web"), true],
  [by("Exists", "app"), true],
  [by("DoesNotExist", "app"), false],
])("%j selects: %s", (selector, selected) => {
  expect(selects(selector, LABELS)).toBe(selected);
});

it("what a selector says of unknown labels can be left out", () => {
  const selector = { matchLabels: { app: "nginx", tier: "web" }, ...by("Exists", "tier") };
  expect(restrictedTo(selector, LABELS)).toEqual({ matchLabels: { app: "nginx" }, matchExpressions: [] });
});

/** Tests of components/istio/values.ts. */
import { expect, test } from "vitest";
import { mergeValues } from "../../../../components/istio/values.ts";

test("objects are merged, lists joined, and the user's plain values stay", () => {
  const user = { a: 1, list: ["user"], nested: { x: "user" }, none: null };
  const added = { a: 2, b: 3, list: ["added"], nested: { x: "added", y: "added" }, none: {} };
  expect(mergeValues(user, added, { c: 4 })).toEqual({
    a: 1,
    b: 3,
    c: 4,
    list: ["user", "added"],
    nested: { x: "user", y: "added" },
    none: null,
  });
});

test("nothing added: the user's values as they are", () => {
  const user = { pilot: { env: {} } };
  expect(mergeValues(user, {}, {})).toEqual(user);
});

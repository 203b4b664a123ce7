/** Tests of embedded/plugins/values.ts. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  changes,
  containsSecret,
  containsUnknown,
  decode,
  encode,
  type Properties,
  reveal,
  Secret,
  UNKNOWN,
  type Value,
} from "../../../../embedded/plugins/values.ts";

const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.string(),
    fc.constant(UNKNOWN),
    tie("value").map((inner) => new Secret(inner)),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 3, noNullPrototype: true }),
  ),
}));

describe("property values over the wire", () => {
  test("come back as they were sent, secrets and unknowns included", () => {
    fc.assert(
      fc.property(value, (sent) => {
        expect(decode(encode(sent))).toEqual(sent);
      }),
    );
  });

  test("have no secret left when revealed, and every unknown", () => {
    fc.assert(
      fc.property(value, (sent) => {
        expect(containsSecret(reveal(sent))).toBe(false);
        expect(containsUnknown(reveal(sent))).toBe(containsUnknown(sent));
      }),
    );
  });

  test("an unknown never reaches a JSON document", () => {
    expect(() => JSON.stringify({ port: UNKNOWN })).toThrow(/not known before/);
  });
});

describe("changes", () => {
  const before: Properties = {
    data: { "a.txt": "1" },
    spec: { http: [{ route: [{ weight: 50 }, { weight: 50 }] }] },
    gone: true,
  };

  test("are named by the path that the engine shows", () => {
    const after: Properties = {
      data: { "a.txt": "2" },
      spec: { http: [{ route: [{ weight: 90 }, { weight: 50 }] }], gateways: ["g"] },
    };
    expect([...changes(before, after)]).toEqual([
      ['data["a.txt"]', "update"],
      ["spec.http[0].route[0].weight", "update"],
      ["spec.gateways", "add"],
      ["gone", "delete"],
    ]);
  });

  test("are none between a value and the same as a secret", () => {
    expect(changes({ a: "x" }, { a: new Secret("x") }).size).toBe(0);
  });

  test("are always seen in a value that is not known yet", () => {
    expect([...changes({ a: UNKNOWN }, { a: UNKNOWN })]).toEqual([["a", "update"]]);
  });

  test("are none between a bag and itself", () => {
    const bag = fc.dictionary(fc.string(), value, { noNullPrototype: true });
    fc.assert(
      fc.property(bag, (properties) => {
        fc.pre(!containsUnknown(properties));
        expect(changes(properties, properties).size).toBe(0);
      }),
    );
  });
});

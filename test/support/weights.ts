/** Random splits for property tests. */
import fc from "fast-check";

/** Versions with weights that sum to 100, 0 among them. */
export const arbitrarySplit = fc
  .uniqueArray(fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/), { minLength: 1, maxLength: 6 })
  .chain((names) =>
    fc
      .array(fc.integer({ min: 0, max: 100 }), { minLength: names.length - 1, maxLength: names.length - 1 })
      .map((cuts) => {
        const edges = [0, ...cuts.sort((a, b) => a - b), 100];
        const weights = Object.fromEntries(
          names.map((name, i) => [name, (edges[i + 1] ?? 0) - (edges[i] ?? 0)]),
        );
        return { versions: names.map((name) => ({ name, version: name, image: `nginx:${name}` })), weights };
      }),
  );

/** Pulumi.yaml and docs/config.md agree with the declarations of the settings. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { capabilities } from "../../../capabilities.ts";
import { withConfigBlock, withTable } from "../../../settings/document.ts";
import { keysOf, parseSettings } from "../../../settings/settings.ts";
import { field, key } from "../../../settings/slice.ts";
import { LEAST } from "../../support/mocks.ts";
import { settings } from "../../support/settings.ts";

const keys = keysOf(capabilities);
const project = parse(read("Pulumi.yaml"));

describe("the project's own files", () => {
  it("are as `npm run docs` writes them", () => {
    expect(withConfigBlock(read("Pulumi.yaml"), keys)).toBe(read("Pulumi.yaml"));
    expect(withTable(read("docs/config.md"), keys)).toBe(read("docs/config.md"));
  });

  it("call no key a secret: the engine would refuse its default", () => {
    expect(Object.values<object>(project.config).filter((entry) => "secret" in entry)).toEqual([]);
  });

  it("have the defaults of the code", () => {
    const defaults = Object.fromEntries(
      Object.entries<{ default: unknown }>(project.config).map(([name, entry]) => [name, entry.default]),
    );
    expect(parseSettings(capabilities, { ...defaults, ...LEAST })).toEqual(settings());
  });

  it("have settings of the article's stack that are good", () => {
    const stack = parse(read("Pulumi.dev.yaml")).config;
    // No key names the project: `pulumi new` may choose another name.
    expect(Object.keys(keys)).toEqual(expect.arrayContaining(Object.keys(stack)));
    expect(settings(stack).nodes).toHaveLength(3);
  });
});

describe("a declaration", () => {
  const declared = {
    name: key(z.string().default("a"), "Some `name`"),
    password: key(z.string(), "Of the page", { secret: "private" }),
    sizes: key(
      z.strictObject({
        width: field(z.number().default(3), "In metres"),
        color: field(z.string().optional(), "Of the paint", "the wall's"),
        depth: field(z.number(), "In metres too"),
      }),
      "How large",
    ),
  };

  it("becomes a block of Pulumi.yaml, and leaves the rest of the file as it is", () => {
    const before =
      '# A comment\nname:   "x"\nconfig:\n  old:\n    type: string\n\n# Another\nmain: index.ts\n';
    expect(withConfigBlock(before, declared)).toBe(`# A comment
name:   "x"
config:
  name:
    type: string
    description: Some name
    default: a
  password:
    type: string
    description: Of the page; set it with --secret
    default: ""
  sizes:
    type: object
    description: "How large: width (3), color (the wall's), depth"
    default: {}

# Another
main: index.ts
`);
  });

  it("becomes rows of the table, a row a field", () => {
    const marks = ["<!-- settings: written by npm run docs -->", "<!-- end of settings -->"];
    expect(withTable(`# Title\n${marks[0]}\nold\n${marks[1]}\nend\n`, declared)).toBe(`# Title
${marks[0]}
| key | what | default |
|---|---|---|
| \`name\` | Some \`name\` | \`a\` |
| \`password\` | Of the page (a secret) |  |
| \`sizes\` | How large |  |
| \`sizes.width\` | In metres | \`3\` |
| \`sizes.color\` | Of the paint | the wall's |
| \`sizes.depth\` | In metres too | required |
${marks[1]}
end
`);
  });
});

function read(path: string): string {
  return readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
}

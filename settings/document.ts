/** Writes the settings' part of Pulumi.yaml and docs/config.md from their declarations. */
import { isMap, isScalar, parseDocument, stringify } from "yaml";
import { inputSchema, type JsonSchema } from "./schema.ts";
import type { Key, Keys } from "./slice.ts";

/** Pulumi.yaml with a `config:` block of these keys; everything else stays byte for byte. */
export function withConfigBlock(pulumiYaml: string, keys: Keys): string {
  const { contents } = parseDocument(pulumiYaml);
  const items = isMap(contents) ? contents.items : [];
  const config = items.find(({ key }) => isScalar(key) && key.value === "config");
  if (!config?.value) throw new Error("Pulumi.yaml has no config block");
  const block = stringify({ config: configBlock(keys) }, { lineWidth: 0 });
  return pulumiYaml.slice(0, config.key.range[0]) + block + pulumiYaml.slice(config.value.range[1]);
}

/** A text with a table of these keys between its two marks. */
export function withTable(markdown: string, keys: Keys): string {
  const [begin, end] = MARKS.map((mark) => markdown.indexOf(mark)) as [number, number];
  if (begin < 0 || end < begin) throw new Error(`no ${MARKS.join(" and ")} in the text`);
  return `${markdown.slice(0, begin + MARKS[0].length)}\n${table(keys)}${markdown.slice(end)}`;
}

const MARKS = ["<!-- settings: written by npm run docs -->", "<!-- end of settings -->"] as const;

/**
 * The engine's part. Every key has a default, so that the engine asks for none: the program reports a missing
 * one, with all other faults. No key is declared secret, because the engine refuses a default for a secret.
 */
function configBlock(keys: Keys): Record<string, object> {
  return Object.fromEntries(
    Object.entries(keys).map(([name, key]) => {
      const schema = inputSchema(key.schema);
      const { type = "object", items } = schema;
      const none = type === "string" ? "" : {};
      return [
        name,
        {
          type,
          ...(items ? { items: { type: items.type } } : {}),
          description: descriptionOf(key, schema),
          default: schema.default ?? none,
        },
      ];
    }),
  );
}

/** One line of plain text: the sentence, the fields with their defaults, the default. */
function descriptionOf({ doc, otherwise, secret }: Key, { properties, items }: JsonSchema): string {
  const fields = Object.entries(properties ?? items?.properties ?? {}).map(([name, field]) => {
    const otherwise = field.otherwise ?? scalar(field.default);
    return otherwise === "" ? name : `${name} (${otherwise})`;
  });
  const sentence = [
    doc,
    ...(fields.length > 0 ? [`: ${fields.join(", ")}`] : []),
    ...(otherwise ? [`; by default ${otherwise}`] : []),
    ...(secret ? ["; set it with --secret"] : []),
  ].join("");
  return sentence.replaceAll("`", "");
}

function table(keys: Keys): string {
  const rows = Object.entries(keys).flatMap(([name, key]) => {
    const schema = inputSchema(key.schema);
    const secret = key.secret ? " (a secret)" : "";
    return [
      row(name, `${key.doc}${secret}`, key.otherwise ?? defaultOf(schema)),
      ...fieldRows(name, schema),
      ...fieldRows(`${name}[]`, schema.items ?? {}),
    ];
  });
  return ["| key | what | default |", "|---|---|---|", ...rows, ""].join("\n");
}

function fieldRows(path: string, { properties = {}, required = [] }: JsonSchema): string[] {
  // A field without a sentence is described by the sentence of the field above.
  const documented = Object.entries(properties).filter(([, field]) => field.description !== undefined);
  return documented.flatMap(([name, field]) => {
    const otherwise = field.otherwise ?? (required.includes(name) ? "required" : defaultOf(field));
    return [
      row(`${path}.${name}`, field.description ?? "", otherwise),
      ...fieldRows(`${path}.${name}`, field),
    ];
  });
}

const row = (key: string, doc: string, otherwise: string) => `| \`${key}\` | ${doc} | ${otherwise} |`;

/** A default as code; nothing for an empty one, and for an object whose fields have rows of their own. */
function defaultOf(schema: JsonSchema): string {
  const value = schema.default;
  if (value === undefined || value === "" || schema.properties) return "";
  return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}

const scalar = (value: unknown) => (value === undefined || typeof value === "object" ? "" : String(value));

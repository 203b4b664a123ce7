/** What a key's schema says about the values that a user may give, so that no list repeats it. */
import { z } from "zod";

/** The part of JSON Schema that is read here. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  /** Of {@link field}. */
  readonly otherwise?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
}

/** The JSON Schema of what a user may give. */
export function inputSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
}

/** True where the value is a text as it stands; everything else is JSON in Pulumi's flat map of strings. */
export const isText = (schema: z.ZodType) => inputSchema(schema).type === "string";

/** Names of the fields of the object at a path below the value; none where it has no fixed fields. */
export function fieldsAt(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  const at = path.reduce<JsonSchema | undefined>(
    (outer, part) => (typeof part === "number" ? outer?.items : outer?.properties?.[String(part)]),
    inputSchema(schema),
  );
  return Object.keys(at?.properties ?? {});
}

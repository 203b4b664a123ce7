/** Derives facts about a key's values from its schema, so that no list repeats them. */
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

/** The JSON Schema of the values that a user can give. */
export function inputSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
}

/** True where the value is plain text. Any other value is JSON in Pulumi's flat map of strings. */
export const isText = (schema: z.ZodType) => inputSchema(schema).type === "string";

/** Names of the fields of the object at a path below the value; none where it has no fixed fields. */
export function fieldsAt(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  const at = path.reduce<JsonSchema | undefined>(
    (outer, part) => (typeof part === "number" ? outer?.items : outer?.properties?.[String(part)]),
    inputSchema(schema),
  );
  return Object.keys(at?.properties ?? {});
}

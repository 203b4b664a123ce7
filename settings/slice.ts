/**
 * How a capability declares its settings: keys with schema and documentation, checks across keys, the result.
 */
import type { z } from "zod";

/** One top-level key of the stack's configuration. */
export interface Key<S extends z.ZodType = z.ZodType> {
  /** Shape and default. Its messages say what would be right. */
  readonly schema: S;
  /** One sentence, for Pulumi.yaml and docs/config.md. */
  readonly doc: string;
  /**
   * `masked`: never shown; `private`: also refused where it stands in plain text in the stack's settings.
   * @default neither
   */
  readonly secret?: "private" | "masked" | undefined;
  /** The value of an unset key, in words. @default the schema's default */
  readonly otherwise?: string | undefined;
}

/** Declares one key. */
export function key<S extends z.ZodType>(
  schema: S,
  doc: string,
  options: Pick<Key, "secret" | "otherwise"> = {},
): Key<S> {
  return { schema, doc, ...options };
}

/**
 * Documents a field of an object: its row in docs/config.md.
 * @param otherwise the value of an unset field, in words. @default the schema's default
 */
export function field<S extends z.ZodType>(schema: S, doc: string, otherwise?: string): S {
  return schema.meta({ description: doc, ...(otherwise === undefined ? {} : { otherwise }) }) as S;
}

export type Keys = Record<string, Key>;

/** Key to parsed value. */
export type Values<K extends Keys> = { readonly [N in keyof K]: z.output<K[N]["schema"]> };

/** Key to parsed value. A value with a fault is missing. */
export type SomeValues<K extends Keys> = { readonly [N in keyof K]: Values<K>[N] | undefined };

/** What a check can use besides its own values. */
export interface CheckContext {
  /** Values of another slice. */
  readonly valuesOf: <K extends Keys>(slice: { readonly keys: K }) => SomeValues<K>;
  /** Key to value as the user gave it. */
  readonly raw: Readonly<Record<string, unknown>>;
  /** The time at which certificates have to be valid. */
  readonly now: Date;
  /**
   * Reports a fault that the schemas cannot see. The value of a secret is not shown.
   * @param path e.g. `versions[1].page`.
   */
  readonly fault: (path: string, value: unknown, right: string) => void;
}

/** The settings of one capability. */
export interface Slice<K extends Keys = Keys, Resolved extends object = object> {
  readonly keys: K;
  /** Checks the values together; a value with a fault of its own is undefined. @default nothing */
  check?(values: SomeValues<K>, context: CheckContext): void;
  /** The capability's part of the configuration. Called when no key of any slice has a fault. */
  resolve(values: Values<K>): Resolved;
}

/** Declares a slice; the types of `check` and `resolve` come from the keys. */
export function slice<K extends Keys, Resolved extends object = Values<K>>(declared: {
  readonly keys: K;
  check?(values: SomeValues<K>, context: CheckContext): void;
  /** @default the values as they are */
  resolve?(values: Values<K>): Resolved;
}): Slice<K, Resolved> {
  return { resolve: (values) => values as unknown as Resolved, ...declared };
}

/** The part of the configuration that a slice resolves to. */
export type ConfigOf<S> = S extends Slice<Keys, infer Resolved> ? Resolved : never;

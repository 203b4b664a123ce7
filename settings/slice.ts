/** How a capability declares its settings: keys with their schema and documentation, and what they mean together. */
import type { z } from "zod";
import type { Faults } from "./faults.ts";

/** One top-level key of the stack's configuration. */
export interface Key<S extends z.ZodType = z.ZodType> {
  /** Shape, default and, in its messages, what would be right. */
  readonly schema: S;
  /** One sentence, for Pulumi.yaml and docs/config.md. */
  readonly doc: string;
  /**
   * `private`: never shown, and refused where it stands in plain in the stack's settings; `masked`: never shown.
   * @default neither
   */
  readonly secret?: "private" | "masked" | undefined;
}

/** Declares one key. */
export function key<S extends z.ZodType>(
  schema: S,
  doc: string,
  options: { readonly secret?: "private" | "masked" } = {},
): Key<S> {
  return { schema, doc, ...options };
}

/** Key to value as the schemas leave it; undefined where the value is not usable, which is a fault already. */
export type Values<K extends Record<string, Key>> = {
  readonly [N in keyof K]: z.output<K[N]["schema"]> | undefined;
};

/** The settings of one capability. */
export interface Slice<
  K extends Record<string, Key> = Record<string, Key>,
  Earlier = unknown,
  Resolved extends object = object,
> {
  readonly keys: K;
  /**
   * What the values mean together: the capability's part of the whole configuration.
   * @param earlier what the slices before this one resolved; a part is missing where it has faults.
   * @param faults takes every fault that the schemas cannot see; nothing is thrown.
   */
  readonly resolve: (values: Values<K>, earlier: Partial<Earlier>, faults: Faults) => Resolved;
}

/** Declares a slice; the types of `resolve` come from the keys. */
export function slice<K extends Record<string, Key>, Resolved extends object, Earlier = unknown>(
  declared: Slice<K, Earlier, Resolved>,
): Slice<K, Earlier, Resolved> {
  return declared;
}

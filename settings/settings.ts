/** Reads the stack's configuration through the slices of all capabilities, and collects every fault. */
import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { type Fault, type Faults, fault, HIDDEN, listed, unknownKeys } from "./faults.ts";
import { fieldsAt, isText } from "./schema.ts";
import type { CheckContext, ConfigOf, Key, Keys, Slice, SomeValues, Values } from "./slice.ts";

/** A part with settings of its own: a capability. */
export interface HasSettings {
  readonly settings: Slice;
}

/** The whole configuration, checked and with every default filled in: what all slices resolve to. */
export type Settings<C extends readonly HasSettings[]> = Flat<Intersection<ConfigOf<C[number]["settings"]>>>;

type Intersection<U> = (U extends unknown ? (part: U) => void : never) extends (all: infer I) => void
  ? I
  : never;
type Flat<T> = { readonly [K in keyof T]: T[K] };

/** Every fault of a configuration at once. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
  readonly faults: readonly Fault[];
  constructor(faults: readonly Fault[]) {
    super(faults.map((each) => each.message).join("\n"));
    this.faults = faults;
  }
}

/**
 * Reads the configuration of the stack that runs.
 * @throws pulumi.RunError that lists every fault, one a line.
 */
export function loadSettings<const C extends readonly HasSettings[]>(capabilities: C): Settings<C> {
  const project = pulumi.getProject();
  const keys = keysOf(capabilities);
  const raw = rawSettings(keys, pulumi.runtime.allConfig(), project);
  try {
    return parseSettings(capabilities, raw, { plainSecrets: plainSecrets(keys, Object.keys(raw), project) });
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    throw new pulumi.RunError(`The configuration of stack ${pulumi.getStack()} has ${listed(error.faults)}`);
  }
}

/**
 * Checks a configuration and fills in the defaults.
 * @param raw key to value, objects and lists as such; a key that is absent gets its default.
 * @param options `now`: the time at which certificates have to be valid; `plainSecrets`: private keys that
 * stand in the stack's settings in plain text.
 * @throws SettingsError with every fault.
 */
export function parseSettings<const C extends readonly HasSettings[]>(
  capabilities: C,
  raw: Readonly<Record<string, unknown>>,
  { now = new Date(), plainSecrets = [] }: { now?: Date; plainSecrets?: readonly string[] } = {},
): Settings<C> {
  const keys = keysOf(capabilities);
  const slices = capabilities.map(({ settings }) => settings);
  const faults: Faults = unknownKeys(Object.keys(raw), Object.keys(keys));
  faults.push(...plainSecrets.map(plainFault));
  const values = new Map(slices.map(({ keys }) => [keys, parseKeys(keys, raw, faults)]));
  const context: CheckContext = {
    valuesOf: <K extends Keys>(other: { readonly keys: K }) =>
      (values.get(other.keys) ?? {}) as SomeValues<K>,
    raw,
    now,
    fault: (path, value, right) => {
      const secret = keys[/^\w*/.exec(path)?.[0] ?? ""]?.secret;
      faults.push(fault(path, secret && value ? HIDDEN : value, right));
    },
  };
  for (const slice of slices) slice.check?.(context.valuesOf(slice), context);
  if (faults.length > 0) throw new SettingsError(faults);
  const parts = slices.map((slice) => slice.resolve(context.valuesOf(slice) as Values<Keys>));
  return Object.assign({}, ...parts) as Settings<C>;
}

/** Keys of all capabilities, in the order of the documentation. */
export function keysOf(capabilities: readonly HasSettings[]): Keys {
  return Object.assign({}, ...capabilities.map(({ settings }) => settings.keys));
}

/** Parses each value by its key's schema. */
function parseKeys(keys: Keys, raw: Readonly<Record<string, unknown>>, faults: Faults): SomeValues<Keys> {
  return Object.fromEntries(
    Object.entries(keys).map(([name, key]) => {
      const result = key.schema.safeParse(raw[name]);
      if (!result.success)
        faults.push(...result.error.issues.flatMap((issue) => toFaults(name, key, raw[name], issue)));
      return [name, result.data];
    }),
  );
}

function toFaults(name: string, { schema, secret }: Key, raw: unknown, issue: z.core.$ZodIssue): Fault[] {
  const path = issue.path.reduce<string>(
    (outer, part) => outer + (typeof part === "number" ? `[${part}]` : `.${String(part)}`),
    name,
  );
  if (issue.code === "unrecognized_keys")
    return unknownKeys(issue.keys, fieldsAt(schema, issue.path), `${path}.`);
  const value = issue.path.reduce<unknown>(
    (outer, part) => (outer as Record<PropertyKey, unknown> | undefined)?.[part],
    raw,
  );
  return [fault(path, secret && value ? HIDDEN : value, issue.message)];
}

/**
 * The project's own keys of Pulumi's flat map of strings, with JSON values parsed. An empty secret counts as
 * not set, because its default in Pulumi.yaml is "".
 */
function rawSettings(keys: Keys, all: Readonly<Record<string, string>>, project: string) {
  const prefix = `${project}:`;
  const own = Object.entries(all).flatMap(([key, text]) =>
    key.startsWith(prefix) ? [[key.slice(prefix.length), text] as const] : [],
  );
  return Object.fromEntries(
    own
      .filter(([name, text]) => text !== "" || !keys[name]?.secret)
      .map(([name, text]) => [name, keys[name] && !isText(keys[name].schema) ? parseJson(text) : text]),
  );
}

/** Private keys that the stack's settings hold in plain text: those that the engine did not decrypt. */
function plainSecrets(keys: Keys, names: readonly string[], project: string): string[] {
  const listed = process.env.PULUMI_CONFIG_SECRET_KEYS;
  if (listed === undefined) return [];
  const decrypted = new Set(JSON.parse(listed) as string[]);
  return names.filter((name) => keys[name]?.secret === "private" && !decrypted.has(`${project}:${name}`));
}

const plainFault = (key: string): Fault => ({
  key,
  message:
    `${key} stands in plain text in the stack's settings: make it a secret (pulumi config set --secret ` +
    `${key}), and replace the secret itself if the file was shared`,
});

/** Text that is not JSON stays text. The schema then reports what would be right. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

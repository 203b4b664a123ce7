/**
 * Property values. Pulumi's engine sends them as JSON in a protobuf Struct. There a secret is an object with
 * a signature, and a value that is not known yet is a sentinel string. Here they are a `Secret` and
 * `UNKNOWN`. The signatures are part of Pulumi's protocol (developer docs, "Property values over the wire").
 */

export type Value = null | boolean | number | string | Secret | Unknown | Value[] | { [key: string]: Value };
export type Properties = Record<string, Value>;

/** A value that the engine encrypts in the state and masks in its output. */
export class Secret {
  readonly value: Value;
  constructor(value: Value) {
    this.value = value;
  }
}

/** The type of the one value `UNKNOWN`. */
export class Unknown {
  /** JSON goes to another program, which must not get an unknown value. */
  toJSON(): never {
    throw new Error("a value that is not known before the update has run would leave the plugin");
  }
}

/** An output of a resource that does not exist yet; seen in previews only. */
export const UNKNOWN = new Unknown();

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270";
/** The engine's sentinels for an unknown string, bool, number, array, asset, archive and object. */
const UNKNOWN_SENTINELS = new Set([
  "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);
const UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** From the wire's JSON to values. */
export function decode(wire: unknown): Value {
  if (typeof wire === "string") return UNKNOWN_SENTINELS.has(wire) ? UNKNOWN : wire;
  if (Array.isArray(wire)) return wire.map(decode);
  if (typeof wire !== "object" || wire === null) return wire as Value;
  const object = wire as Record<string, unknown>;
  if (object[SIGNATURE] === SECRET_SIGNATURE) return new Secret(decode(object.value));
  return mapValues(object, decode);
}

/** From values to the wire's JSON; absent (undefined) properties are left out. */
export function encode(value: Value): unknown {
  if (value instanceof Unknown) return UNKNOWN_STRING;
  if (value instanceof Secret) return { [SIGNATURE]: SECRET_SIGNATURE, value: encode(value.value) };
  if (Array.isArray(value)) return value.map(encode);
  if (isObject(value)) {
    const known = Object.entries(value).filter(([, member]) => member !== undefined);
    return Object.fromEntries(known.map(([key, member]) => [key, encode(member)]));
  }
  return value;
}

/** The same value, with secrets unmarked at every depth. */
export function reveal(value: Value): Value {
  if (value instanceof Secret) return reveal(value.value);
  if (Array.isArray(value)) return value.map(reveal);
  return isObject(value) ? mapValues(value, reveal) : value;
}

export function containsUnknown(value: Value): boolean {
  return contains(value, (member) => member instanceof Unknown);
}

export function containsSecret(value: Value): boolean {
  return contains(value, (member) => member instanceof Secret);
}

export function isObject(value: unknown): value is { [key: string]: Value } {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Secret) &&
    !(value instanceof Unknown)
  );
}

/** Equal in depth. A secret equals only a secret; an unknown equals an unknown. */
export function equal(a: Value | undefined, b: Value | undefined): boolean {
  if (a === b) return true;
  if (a instanceof Secret && b instanceof Secret) return equal(a.value, b.value);
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((member, index) => equal(member, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && equal(a[key], b[key]));
}

export type ChangeKind = "add" | "delete" | "update";
/** The differences, by property path as the engine writes it: `spec.http[0].weight`, `data["a.txt"]`. */
export type Changes = Map<string, ChangeKind>;

/** The leaves in which two property bags differ. An unknown differs from everything. */
export function changes(before: Properties, after: Properties): Changes {
  const found: Changes = new Map();
  compareObjects("", before, after, found);
  return found;
}

/** The message for a feature that only the official plugin has. */
export function unsupported(feature: string): string {
  return (
    `not supported by the stand-in: ${feature}; with the official Pulumi plugins it works: put them on ` +
    "PATH or into Pulumi's cache (`pulumi plugin install`)"
  );
}

/** Whether `path` is `root` or something inside it. */
export function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}.`) || path.startsWith(`${root}[`);
}

function compareObjects(path: string, before: Properties, after: Properties, found: Changes): void {
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
    compare(join(path, key), before[key], after[key], found);
}

function compare(path: string, before: Value | undefined, after: Value | undefined, found: Changes): void {
  if (before instanceof Secret) before = before.value;
  if (after instanceof Secret) after = after.value;
  if (before === undefined || after === undefined) {
    if (before !== after) found.set(path, before === undefined ? "add" : "delete");
  } else if (isObject(before) && isObject(after)) {
    compareObjects(path, before, after, found);
  } else if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    for (let index = 0; index < length; index++)
      compare(`${path}[${index}]`, before[index], after[index], found);
  } else if (after instanceof Unknown || !equal(before, after)) {
    found.set(path, "update");
  }
}

function join(path: string, key: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}

function contains(value: Value, wanted: (member: Value) => boolean): boolean {
  if (wanted(value)) return true;
  if (value instanceof Secret) return contains(value.value, wanted);
  if (Array.isArray(value)) return value.some((member) => contains(member, wanted));
  return isObject(value) && Object.values(value).some((member) => contains(member, wanted));
}

function mapValues<In>(object: Record<string, In>, change: (value: In) => Value): Record<string, Value> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

/** Query parameters of a request to an API server, and the warnings of an answer. */
import type { IncomingMessage } from "node:http";
import type { WriteOptions } from "./kubernetesTypes.ts";

/** The path with these parameters. Undefined ones are left out. */
export function withQuery(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) given.set(key, value);
  return given.size === 0 ? path : `${path}?${given}`;
}

export function writeQuery({ dryRun, fieldManager }: WriteOptions): Record<string, string | undefined> {
  return { fieldManager, fieldValidation: "Warn", dryRun: dryRun ? "All" : undefined };
}

/** The texts of `Warning: 299 - "TEXT"`, one header a warning. */
export function warningsOf({ headersDistinct }: IncomingMessage): string[] {
  return (headersDistinct.warning ?? []).map(
    (value) => /"(.*)"/s.exec(value)?.[1]?.replaceAll('\\"', '"') ?? value,
  );
}

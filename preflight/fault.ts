/** One thing that is wrong: where, what, and the way out, in one line. */
export class Fault extends Error {
  override readonly name = "Fault";
}

/** The innermost reason: clients of HTTP wrap "connection refused" in "fetch failed". */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.errors.length > 0) return reason(error.errors[0]);
  return error.cause ? reason(error.cause) : error.message.split("\n")[0] || error.name;
}

/** Checks everything that a lab needs of the host, before anything is made. */
import { LabError } from "../../clients/process.ts";

/**
 * Runs all checks.
 *
 * @throws LabError with the faults of all of them
 */
export async function requireAll(checks: readonly (() => Promise<void>)[]): Promise<void> {
  const results = await Promise.allSettled(checks.map((check) => check()));
  const faults = results.flatMap((result) =>
    result.status === "rejected" ? [result.reason as unknown] : [],
  );
  const unexpected = faults.find((fault) => !(fault instanceof LabError));
  if (unexpected) throw unexpected;
  if (faults.length === 1) throw faults[0];
  if (faults.length > 1)
    throw new LabError(faults.map((fault) => (fault as LabError).message).join("\nlab: "));
}

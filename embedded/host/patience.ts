/** How long the lab waits for its machines. On a slow host the user sets a factor. */
import { LabError } from "../../clients/process.ts";

export const VARIABLE = "ISTIO_LAB_PATIENCE";

/**
 * Multiplies a limit in seconds, which suits an ordinary host, by the user's factor.
 *
 * @throws LabError when the factor is not a number of 1 or more
 */
export function patience(seconds: number, env: NodeJS.ProcessEnv = process.env): number {
  const factor = env[VARIABLE] ? Number(env[VARIABLE]) : 1;
  if (factor >= 1 && factor < Number.POSITIVE_INFINITY) return seconds * factor;
  throw new LabError(
    `${VARIABLE} is "${env[VARIABLE]}": give a number of 1 or more, by which waiting times are multiplied`,
    2,
  );
}

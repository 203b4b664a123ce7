/** How long the lab waits for its machines: longer on a host that is slow, by a factor of the user's. */
import { LabError } from "../../clients/process.ts";

export const VARIABLE = "ISTIO_LAB_PATIENCE";

/**
 * Seconds to wait at most, for what takes at most that many on an ordinary host.
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

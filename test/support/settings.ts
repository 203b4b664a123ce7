/** Settings in tests: checked as the program does it. */
import { capabilities, type LabConfig } from "../../capabilities.ts";
import { parseSettings, SettingsError } from "../../settings/settings.ts";
import { LEAST } from "./mocks.ts";

/** The least that a stack has to set, with these changes; undefined takes a key away. */
export function settings(
  change: Record<string, unknown> = {},
  options: Parameters<typeof parseSettings>[2] = {},
): LabConfig {
  return parseSettings(capabilities, { ...LEAST, ...change }, options);
}

/** Every line that a user reads of the same; none where it is good. */
export function faultsOf(
  change: Record<string, unknown>,
  options: Parameters<typeof parseSettings>[2] = {},
): string[] {
  try {
    settings(change, options);
    return [];
  } catch (error) {
    if (error instanceof SettingsError) return error.faults.map(({ message }) => message);
    throw error;
  }
}

/** Settings in tests, checked as in the program. */
import { capabilities, type LabConfig } from "../../capabilities.ts";
import { parseSettings, SettingsError } from "../../settings/settings.ts";
import { LEAST } from "./mocks.ts";

/** The settings without a default, with these changes; undefined removes a key. */
export function settings(
  change: Record<string, unknown> = {},
  options: Parameters<typeof parseSettings>[2] = {},
): LabConfig {
  return parseSettings(capabilities, { ...LEAST, ...change }, options);
}

/** The faults of the same settings, as a user reads them. */
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

/** Arguments of Pulumi's command line that several callers need. */

/** Arguments of `pulumi` that set plain settings, by path, in one run. */
export function setAll(settings: Readonly<Record<string, string>>): string[] {
  return ["config", "set-all", "--path", ...Object.entries(settings).flatMap(plaintext)];
}

/** Arguments of `pulumi` that save plain settings, by path, and update the stack, in one run. */
export function upWith(settings: Readonly<Record<string, string>>): string[] {
  const assignments = Object.entries(settings).flatMap(([key, value]) => ["--config", `${key}=${value}`]);
  return ["up", "--yes", "--skip-preview", "--config-path", ...assignments];
}

/** The settings that hold these weights. */
export function weightSettings(weights: Readonly<Record<string, number>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(weights).map(([version, weight]) => [`weights.${version}`, String(weight)]),
  );
}

function plaintext([key, value]: [string, string]): string[] {
  return ["--plaintext", `${key}=${value}`];
}

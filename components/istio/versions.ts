/** Which versions of Kubernetes an Istio version supports. */

/**
 * The oldest Kubernetes minor that each Istio minor supports: column "Supported Kubernetes Versions" of
 * https://istio.io/latest/docs/releases/supported-releases/#support-status-of-istio-releases , as it stood in
 * 2026.
 */
const OLDEST_KUBERNETES: Readonly<Record<string, number>> = {
  "1.24": 28,
  "1.25": 29,
  "1.26": 29,
  "1.27": 29,
  "1.28": 30,
  "1.29": 31,
  "1.30": 32,
  "1.31": 32,
};

/**
 * The oldest minor of Kubernetes 1 that an Istio version supports.
 * @returns for an Istio newer than the table the newest row's; undefined for one older than the table.
 */
export function oldestKubernetes(istioVersion: string): number | undefined {
  const known = OLDEST_KUBERNETES[minorOf(istioVersion)];
  const minor = Number(istioVersion.split(".")[1]);
  const newest = Math.max(...Object.keys(OLDEST_KUBERNETES).map((row) => Number(row.split(".")[1])));
  return known ?? (minor > newest ? OLDEST_KUBERNETES[`1.${newest}`] : undefined);
}

/** `1.31` of `1.31.0`. */
export const minorOf = (version: string) => version.split(".").slice(0, 2).join(".");

/** Whether Istio's CNI redirects the pods' traffic, in place of an init container of each pod. Pure. */

export interface CniSettings {
  readonly components?: Readonly<Record<string, unknown>> | undefined;
  readonly values?: Readonly<Record<string, unknown>> | undefined;
}

export function hasCni({ components, values }: CniSettings): boolean {
  const { cni } = (components ?? {}) as { cni?: { enabled?: unknown } };
  const { pilot } = (values ?? {}) as { pilot?: { cni?: { enabled?: unknown } } };
  return cni?.enabled === true || pilot?.cni?.enabled === true;
}

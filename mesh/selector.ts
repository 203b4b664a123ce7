/** Label selectors, as Kubernetes and Istio have them. Pure. */

export type Labels = Readonly<Record<string, string>>;

export interface Selector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/** True for every set of labels where the selector is empty. */
export function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === "Exists") return value !== undefined;
      if (operator === "DoesNotExist") return value === undefined;
      const isListed = value !== undefined && values.includes(value);
      return operator === "In" ? isListed : !isListed;
    })
  );
}

/** The selector without what it says of labels whose values are not known. */
export function restrictedTo({ matchLabels = {}, matchExpressions = [] }: Selector, known: Labels): Selector {
  return {
    matchLabels: Object.fromEntries(Object.entries(matchLabels).filter(([key]) => key in known)),
    matchExpressions: matchExpressions.filter(({ key }) => key in known),
  };
}

/** The label by which a namespace gets its sidecars. @param revision undefined is the default one */
export const injectionLabel = (revision?: string): Record<string, string> =>
  revision === undefined ? { "istio-injection": "enabled" } : { "istio.io/rev": revision };

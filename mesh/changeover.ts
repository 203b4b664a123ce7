/** The order of writes to routing objects when versions are added or removed: no request may fail. */
import type { Subset } from "./model.ts";

/** The change from the subsets that receive requests now to the wanted ones. */
export interface Changeover {
  /** Wanted subsets that receive no requests yet. */
  readonly added: readonly Subset[];
  /** Subsets that receive requests and are not wanted any more. */
  readonly removed: readonly Subset[];
  /** Removed subsets that the DestinationRule keeps during this update. */
  readonly retained: readonly Subset[];
  /** The object that is written first: the DestinationRule (`subsets`) or the VirtualService (`routes`). */
  readonly order: "subsets first" | "routes first";
  /** True: every proxy has to use the first object before the second one is written. */
  readonly waitBetween: boolean;
}

/**
 * A route to a subset that does not exist answers 503. So a subset is written before the route that needs it,
 * and removed after that route. Where one update adds some and removes others, the DestinationRule is written
 * first and retains the removed ones; the next update finds them unused and removes them.
 * @param routed the subsets that receive requests now; none on a first update.
 */
export function changeover(routed: readonly Subset[], wanted: readonly Subset[]): Changeover {
  const added = without(wanted, routed);
  const removed = without(routed, wanted);
  const onlyRemoved = added.length === 0 && removed.length > 0;
  return {
    added,
    removed,
    retained: onlyRemoved ? [] : removed,
    order: onlyRemoved ? "routes first" : "subsets first",
    waitBetween: routed.length > 0 && added.length + removed.length > 0,
  };
}

const without = (subsets: readonly Subset[], others: readonly Subset[]) =>
  subsets.filter(({ name }) => !others.some((other) => other.name === name));

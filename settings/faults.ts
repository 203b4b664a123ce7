/** Faults of the user's settings or machines: collected, and reported at once. */
import { closestMatch } from "leven";

/** A fault that the user can fix. */
export interface Fault {
  /** Path of the key, e.g. `versions[1].image`; empty where no key is at fault. */
  readonly key: string;
  /** One line: key or place, value, what would be right. */
  readonly message: string;
}

/** Collects faults. */
export type Faults = Fault[];

/** Stands for a secret value, which is never shown. */
export const HIDDEN = Symbol("hidden");

/**
 * A fault of one key: `KEY is VALUE: what would be right`.
 * @param value undefined and "" count as missing
 */
export function fault(key: string, value: unknown, right: string): Fault {
  const path = printable(key);
  return { key: path, message: `${path} ${state(value)}: ${right}` };
}

/** A fault for each unknown key, with the known key that was probably meant. */
export function unknownKeys(keys: readonly string[], known: readonly string[], prefix = ""): Fault[] {
  return keys
    .filter((key) => !known.includes(key))
    .map((key) => {
      const path = prefix + printable(key);
      const message =
        `${path} is no key of this project${didYouMean(key, known)}; ` + `the keys are ${known.join(", ")}`;
      return { key: path, message };
    });
}

/** ` (did you mean WORD?)`, or nothing where no known word is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const typed = word.slice(0, 64).toLowerCase();
  const near = known.filter((candidate) => {
    const most = Math.ceil(candidate.length * 0.4);
    return closestMatch(typed, [candidate.toLowerCase()], { maxDistance: most }) !== undefined;
  });
  const nearest = closestMatch(
    typed,
    near.map((candidate) => candidate.toLowerCase()),
  );
  const meant = near.find((candidate) => candidate.toLowerCase() === nearest);
  return meant === undefined ? "" : ` (did you mean ${meant}?)`;
}

/** Whole sentences for any number of faults, one a line. */
export function listed(faults: readonly Pick<Fault, "message">[]): string {
  const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  return `${count}:\n${faults.map(({ message }) => `  ${message}`).join("\n")}`;
}

function state(value: unknown): string {
  if (value === undefined || value === "") return "is missing";
  return value === HIDDEN ? "is not usable" : `is ${shown(value)}`;
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 80 ? `${json.slice(0, 77)}...` : json;
}

/** A key in a form that is safe for a terminal. */
const printable = (key: string) => key.replace(/[^\x20-\x7e]/g, "?").slice(0, 120);

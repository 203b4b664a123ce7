/** The two ways of work that the benchmark compares. */
import { join } from "node:path";
import { execa } from "execa";
import { setAll, weightSettings } from "../clients/pulumi.ts";
import { pulumi } from "../probe/stack.ts";
import { type Bench, ROOT } from "./setting.ts";

export type Weights = { v116: number; v117: number };

/** One way to do the work. */
export interface Way {
  /** Writes the weights where the next command reads them. This is not timed, like an edit by hand. */
  configure(weights: Weights): Promise<unknown>;
  up(): Promise<unknown>;
  shift(weights: Weights): Promise<unknown>;
  down(): Promise<unknown>;
}

/** By byHand.sh. */
export function handWay({ byHand }: Bench): Way {
  const script = (...args: string[]): Promise<unknown> =>
    execa("sh", [join(import.meta.dirname, "byHand.sh"), ...args], { env: byHand });
  return {
    configure: async () => {},
    up: () => script("up"),
    shift: ({ v116, v117 }) => script("shift", String(v116), String(v117)),
    down: () => script("down"),
  };
}

/** By the program. */
export function pulumiWay(): Way {
  const run = (...args: string[]): Promise<unknown> => pulumi(ROOT, ...args, "--non-interactive");
  const up = (): Promise<unknown> => run("up", "--yes", "--skip-preview");
  return {
    configure: (weights) => run(...setAll(weightSettings(weights))),
    up,
    shift: up,
    down: () => run("destroy", "--yes", "--skip-preview"),
  };
}

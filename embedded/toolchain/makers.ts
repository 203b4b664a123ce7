/** Makes builds and root file systems for the steps that need them: each once, in an order of ranks. */
import { goBinaries, type OnProgress } from "./go/go.ts";
import type { GoModule } from "./go/modules.ts";
import { Turns } from "./parts.ts";
import { type RootSpec, rootFileSystem } from "./roots.ts";

export type Makers = ReturnType<typeof makers>;

/** Makes builds and root file systems on first use, one build and one root at a time. */
export function makers() {
  const builds = new Turns();
  const debootstraps = new Turns();
  const made = new Map<string, Promise<string>>();
  const keep = (name: string, make: () => Promise<string>) => {
    const known = made.get(name) ?? make();
    made.set(name, known);
    return known;
  };
  return {
    /** @param rank of the build: those that the machines wait for come first */
    build: (rank: number, module: GoModule, report: OnProgress) =>
      keep(`binaries ${module.name}`, () => builds.take(rank, () => goBinaries(module, report))),
    root: (rank: number, spec: RootSpec) =>
      keep(`root ${spec.name}`, () => debootstraps.take(rank, () => rootFileSystem(spec))),
  };
}

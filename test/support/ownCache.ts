/** A cache of the toolchain for each test of a file. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, vi } from "vitest";

/** Each test that follows has an empty cache. @returns the place of the test's own XDG_CACHE_HOME */
export function useOwnCache(): () => string {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "istio-lab-cache-"));
    vi.stubEnv("XDG_CACHE_HOME", home);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(home, { recursive: true });
  });
  return () => home;
}

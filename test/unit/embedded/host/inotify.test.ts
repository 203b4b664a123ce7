/** Tests of embedded/host/inotify.ts. */
import { watch } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { requireInotify } from "../../../../embedded/host/inotify.ts";
import { instance } from "../../../../embedded/host/instance.ts";

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "istio-lab-inotify-"));
});
afterEach(() => rm(state, { recursive: true }));
const lab = (workers = 3) => instance("inotify-unit", { state, workers });

describe("inotify instances", () => {
  test.runIf(process.getuid?.() === 0)(
    "(needs root) those in use count, and the error has a way out",
    async () => {
      const watcher = watch(tmpdir());
      onTestFinished(() => watcher.close());
      await expect(requireInotify(lab(), { limit: 40 })).rejects.toThrow(
        /max_user_instances is 40: root uses [1-9]\d*, .* sysctl fs\.inotify\.max_user_instances=512/,
      );
    },
  );

  test("a lab takes more of them on cgroup v2", async () => {
    const stock = { limit: 128, used: 50 };
    await requireInotify(lab(), { ...stock, unified: false });
    await expect(requireInotify(lab(), { ...stock, unified: true })).rejects.toThrow(/takes up to 80/);
  });

  test("another lab that is being started counts in full: the third does not fit", async () => {
    const stock = { limit: 128, used: 10, unified: false };
    await startOther("second");
    await requireInotify(lab(), stock);
    await startOther("third");
    await expect(requireInotify(lab(), stock)).rejects.toThrow(
      /root uses 10, up to 104 go to 2 other labs, and lab "inotify-unit" takes up to 52/,
    );
  });

  test("a lab of one worker takes less, and three of them fit", async () => {
    const stock = { limit: 128, used: 10, unified: false };
    for (const name of ["second", "third"]) await startOther(name, { workers: 1 });
    await requireInotify(lab(1), stock);
    await expect(requireInotify(lab(), stock)).rejects.toThrow(/up to 72 go to 2 other labs/);
  });

  test("a lab that is up already is not checked", async () => {
    await mkdir(lab().dir);
    await requireInotify(lab(), { limit: 0 });
  });

  test("many are enough", () => requireInotify(lab(), { limit: 100_000 }));
});

/** The result of the first step of a lab's start. */
async function startOther(name: string, saved: object = {}): Promise<void> {
  await mkdir(join(state, name));
  await writeFile(join(state, name, "instance.json"), JSON.stringify(saved));
}

import { watch } from "node:fs";
import { tmpdir } from "node:os";
import { expect, onTestFinished, test } from "vitest";
import { requireInotify } from "../../../../embedded/host/inotify.ts";
import { instance } from "../../../../embedded/instance.ts";

const lab = instance("inotify-unit", undefined, tmpdir());

test.runIf(process.getuid?.() === 0)(
  "a lab that would take more than the kernel gives is told, with the way out",
  async () => {
    const watcher = watch(tmpdir());
    onTestFinished(() => watcher.close());
    await expect(requireInotify(lab, 40)).rejects.toThrow(
      /max_user_instances is 40, of which root uses [1-9]\d*, .* sysctl fs\.inotify\.max_user_instances=512/,
    );
  },
);

test("one that fits is not", () => requireInotify(lab, 100_000));

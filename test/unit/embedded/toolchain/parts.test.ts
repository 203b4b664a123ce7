/** Tests of embedded/toolchain/parts.ts. */
import { expect, test } from "vitest";
import { LabError } from "../../../../clients/process.ts";
import { Unavailable } from "../../../../embedded/toolchain/official/source.ts";
import { Parts, Turns } from "../../../../embedded/toolchain/parts.ts";

const there = async () => "official";
const away = async () => {
  throw new Unavailable("dl.k8s.io cannot be reached: ENOTFOUND", "host");
};
const build = async () => "built";

test("the official part is taken where it can be had", async () => {
  const parts = new Parts();
  expect(await parts.choose("Kubernetes", { official: there, build })).toEqual({
    value: "official",
    official: true,
  });
  expect(parts.list).toEqual([{ part: "Kubernetes", official: true }]);
});

test("a part out of reach is built, and the reason is kept", async () => {
  const parts = new Parts();
  expect((await parts.choose("Kubernetes", { official: away, build })).value).toBe("built");
  expect((await parts.choose("Pulumi", { official: there, build })).value).toBe("official");
  expect(parts.list).toEqual([
    { part: "Kubernetes", official: false, why: "dl.k8s.io cannot be reached: ENOTFOUND" },
    { part: "Pulumi", official: true },
  ]);
});

test("--from build sends no request", async () => {
  const parts = new Parts("build");
  const official = () => Promise.reject(new Error("was called"));
  expect((await parts.choose("Kubernetes", { official, build })).value).toBe("built");
});

test("--from official does not build, and names the way out", async () => {
  const chosen = new Parts("official").choose("Kubernetes", { official: away, build });
  await expect(chosen).rejects.toThrow(LabError);
  await expect(chosen).rejects.toThrow(
    /^Kubernetes: the official one is out of reach: dl\.k8s\.io .*Without --from official .* LAB_MIRROR/,
  );
});

test("another error is not taken for a part that cannot be had", async () => {
  const full = () => Promise.reject(new LabError("the disk is too full"));
  await expect(new Parts().choose("Kubernetes", { official: full, build })).rejects.toThrow("too full");
});

test("builds run one at a time, those that are needed first before others", async () => {
  const turns = new Turns();
  const order: number[] = [];
  let running = 0;
  const work = (rank: number) =>
    turns.take(rank, async () => {
      running += 1;
      expect(running).toBe(1);
      order.push(rank);
      await new Promise(setImmediate);
      running -= 1;
    });
  await Promise.all([work(3), work(0), work(2), work(1)]);
  expect(order).toEqual([0, 1, 2, 3]);
});

test("a build that fails lets the next one begin", async () => {
  const turns = new Turns();
  const first = turns.take(0, () => Promise.reject(new Error("does not compile")));
  const second = turns.take(1, async () => "built");
  await expect(first).rejects.toThrow("does not compile");
  expect(await second).toBe("built");
});

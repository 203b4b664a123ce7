/** Tests of clients/sharedApi.ts. */
import { expect, it, vi } from "vitest";
import { KubernetesApi } from "../../../clients/kubernetes.ts";
import { sharedApi } from "../../../clients/sharedApi.ts";

it("one client for each cluster, however many parts want it at once; a failed one is tried again", async () => {
  let isDown = true;
  const connect = vi.spyOn(KubernetesApi, "connect").mockImplementation(async ({ context } = {}) => {
    if (isDown) throw new Error("kubectl is not on PATH");
    return { context } as unknown as KubernetesApi;
  });
  await expect(sharedApi({ context: "a" })).rejects.toThrow("kubectl is not on PATH");
  isDown = false;
  const [first, second, other] = await Promise.all(
    ["a", "a", "b"].map((context) => sharedApi({ kubeconfig: "k", context })),
  );
  expect(second).toBe(first);
  expect(other).not.toBe(first);
  expect(await sharedApi({ context: "b", kubeconfig: "k" })).toBe(other);
  expect(connect).toHaveBeenCalledTimes(3);
  connect.mockRestore();
});

import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Registered, settled, startMocks } from "./mocks.ts";

vi.mock("../../cluster.ts", () => ({
  readCluster: async () => ({
    id: "0b7c1e2f",
    nodes: [
      { name: "rancher-node02", address: "10.0.0.2" },
      { name: "rancher-node03", address: "10.0.0.3" },
    ],
  }),
}));

beforeEach(() => vi.resetModules());
afterEach(() => pulumi.runtime.disconnect());

describe("the whole program", () => {
  it("runs", async () => {
    const { resources, outputs } = await up();
    expect(resources.map(({ name }) => name)).toContain("edge");
    expect(outputs.weights).toEqual({ v116: 50, v117: 50 });
  });
});

async function up(
  config: Record<string, unknown> = {},
): Promise<{ resources: Registered[]; outputs: Record<string, unknown> }> {
  const resources = await startMocks(config);
  const program: Record<string, unknown> = await import("../../index.ts");
  const outputs = Object.fromEntries(
    await Promise.all(
      Object.entries(program).map(async ([name, output]) => [name, await settled(output)] as const),
    ),
  );
  await pulumi.runtime.disconnect();
  return { resources, outputs };
}

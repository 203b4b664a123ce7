/** Tests of components/istio/istioctl.ts. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { checkIstioctl } from "../../../../components/istio/istioctl.ts";
import { OWNER } from "../../../support/preflight.ts";

let bin = "";
beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
  vi.stubEnv("PATH", `${bin}:/usr/bin:/bin`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(bin, { recursive: true });
});

const istioctl = (body: string) =>
  writeFileSync(join(bin, "istioctl"), `#!/bin/sh\n${body}\n`, { mode: 0o755 });

async function faults(manage = true): Promise<string[]> {
  const config = { istio: { version: "1.31.0", manage } };
  const { faults } = await checkIstioctl({ config, owner: OWNER, signal: AbortSignal.timeout(10_000) });
  return faults.map(({ message }) => message);
}

it("of the same minor version is accepted", async () => {
  istioctl("echo client version: 1.31.2");
  expect(await faults()).toEqual([]);
});

it("is missing: how to get it", async () => {
  expect(await faults()).toEqual([
    expect.stringMatching(
      /^istioctl is not on PATH; get version 1\.31\.0: curl -L .* then add istio-1\.31\.0\/bin to PATH$/,
    ),
  ]);
});

it("of another minor version names both", async () => {
  istioctl("echo client version: 1.30.4");
  expect(await faults()).toEqual([
    expect.stringMatching(
      /^istioctl on PATH is version 1\.30\.4, and istio\.version is 1\.31\.0: set istio\.version/,
    ),
  ]);
});

it("that prints no version is of an unknown one", async () => {
  istioctl("exit 1");
  expect(await faults()).toEqual([expect.stringMatching(/^istioctl on PATH is version unknown/)]);
});

it("is not needed where Istio is not installed by this stack", async () => {
  expect(await faults(false)).toEqual([]);
});

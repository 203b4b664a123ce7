/** Tests of embedded/plugins/kubernetes/config.ts. */
import { mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  configReplaces,
  readConfig,
  writeKubeconfig,
} from "../../../../../embedded/plugins/kubernetes/config.ts";
import type { Properties } from "../../../../../embedded/plugins/values.ts";
import { ARGUMENTS } from "../../../../support/kubernetesProvider.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "config-"));
  vi.stubEnv("TMPDIR", directory);
});
afterEach(() => vi.unstubAllEnvs());

const kubeconfig = (server = "https://a", user: Properties = { token: "t" }) =>
  JSON.stringify({
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
    clusters: [{ name: "k", cluster: { server } }],
    users: [{ name: "u", user }],
  });

describe("a kubeconfig that is an argument", () => {
  test("leaves a file in TMPDIR at each start, which only its user can read", () => {
    const given = join(directory, "given");
    writeFileSync(given, kubeconfig());
    const [first, second] = [writeKubeconfig(given), writeKubeconfig(kubeconfig())];
    expect(first).not.toBe(second);
    for (const file of [first, second]) {
      expect(dirname(file)).toBe(directory);
      expect(file).toMatch(/\/kubeconfig[^/]+$/);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(JSON.parse(kubeconfig()));
    }
  });

  test("is one file or a text: a list of files is not read", () => {
    const given = join(directory, "given");
    writeFileSync(given, kubeconfig());
    expect(() => writeKubeconfig([given, "/nonexistent"].join(delimiter))).toThrow(
      "failed to parse kubeconfig data in `kubernetes:config:kubeconfig`- couldn't get version/kind",
    );
  });

  test("has paths from the working directory, wherever the file lies", () => {
    const given = join(directory, "given");
    writeFileSync(given, kubeconfig("https://a", { "client-key": "pki/key.pem", tokenFile: "/abs" }));
    expect(JSON.parse(readFileSync(writeKubeconfig(given), "utf8")).users[0].user).toEqual({
      "client-key": join(process.cwd(), "pki/key.pem"),
      tokenFile: "/abs",
    });
  });
});

describe("a change of the provider", () => {
  test("to another kubeconfig of the same cluster replaces nothing", () => {
    const of = (kubeconfig: string) => ({ kubeconfig, clusterIdentifier: "lab" });
    expect(configReplaces(of("/a"), of("/b"))).toEqual([]);
  });

  test("to another cluster replaces all", () => {
    expect(configReplaces({ clusterIdentifier: "lab" }, { clusterIdentifier: "other" })).toEqual([
      "clusterIdentifier",
    ]);
  });
});

test("flags arrive as text, and only the program's own values are known", () => {
  vi.stubEnv("PULUMI_K8S_DELETE_UNREACHABLE", "true");
  expect(readConfig(ARGUMENTS)).toEqual({
    kubeconfig: "",
    context: "",
    deleteUnreachable: true,
    patchForce: true,
    lacking: undefined,
  });
  const { enablePatchForce: _, ...unforced } = ARGUMENTS;
  expect(readConfig(unforced)).toMatchObject({ patchForce: false, lacking: undefined });
  for (const flag of ["enableServerSideApply", "enableSecretMutable", "upsertExistingObjects"])
    expect(() => readConfig({ [flag]: "false" })).toThrow(
      `not supported by the stand-in: provider argument ${flag}: false`,
    );
});

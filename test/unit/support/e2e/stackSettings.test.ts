/** Tests of test/support/e2e/stackSettings.ts: its edits are those of `pulumi config`. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parse } from "yaml";
import { removeIn, setIn } from "../../../support/e2e/stackSettings.ts";

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "istio-lab-settings-"));
  file = join(directory, "Pulumi.dev.yaml");
  await writeFile(
    file,
    "encryptionsalt: v1:abc=\nconfig:\n  istio-lab:tlsKey:\n    secure: v1:def=\n  istio-lab:versions:\n    - name: v116\n",
  );
});
afterEach(() => rm(directory, { recursive: true }));

const stack = async () => parse(await readFile(file, "utf8")) as object;
const SECRETS = { "istio-lab:tlsKey": { secure: "v1:def=" } };

test("texts at the top stay texts, and numbers and truth values within an object are such", async () => {
  await setIn(file, {
    namespace: "8080",
    "versions[0].replicas": "1",
    "versions[1].name": "v117",
    "tls.redirect": "true",
    "stats.prometheus": "127.0.0.1:9101",
    "nodes[0].address": "10.0.0.1",
  });
  expect(await stack()).toEqual({
    encryptionsalt: "v1:abc=",
    config: {
      ...SECRETS,
      "istio-lab:namespace": "8080",
      "istio-lab:versions": [{ name: "v116", replicas: 1 }, { name: "v117" }],
      "istio-lab:tls": { redirect: true },
      "istio-lab:stats": { prometheus: "127.0.0.1:9101" },
      "istio-lab:nodes": [{ address: "10.0.0.1" }],
    },
  });
});

test("a key that is removed is gone, also one element of a list", async () => {
  await setIn(file, { "versions[1].name": "v117", "weights.v116": "40" });
  await removeIn(file, ["versions[0]", "weights"]);
  expect(await stack()).toMatchObject({ config: { ...SECRETS, "istio-lab:versions": [{ name: "v117" }] } });
  expect(JSON.stringify(await stack())).not.toContain("weights");
});

/** Tests of embedded/lab/observability.ts. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { stringify } from "yaml";
import { type Instance, instance } from "../../../../embedded/host/instance.ts";
import { wantedImages } from "../../../../embedded/lab/observability.ts";
import { stackFile } from "../../../../embedded/lab/stack.ts";

let root = "";
let lab: Instance;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "istio-lab-wanted-"));
  lab = instance("unit-wanted", { state: root });
  mkdirSync(lab.dir, { recursive: true });
});
afterEach(() => {
  rmSync(root, { recursive: true });
  rmSync(stackFile(lab), { force: true });
});

/** The lab has a stack with this configuration. */
function made(config: object): void {
  writeFileSync(stackFile(lab), stringify({ config }));
  writeFileSync(join(lab.dir, "stack.ready"), "");
}

test.each([true, false])("a new lab gets what the command says: %s", async (wanted) => {
  expect(await wantedImages(lab, wanted)).toEqual({ monitoring: wanted, tracing: wanted });
});

test("a stack whose creation was cut off is made again", async () => {
  writeFileSync(stackFile(lab), stringify({ config: {} }));
  expect(await wantedImages(lab, true)).toEqual({ monitoring: true, tracing: true });
});

test.each([
  ["none", {}, { monitoring: false, tracing: false }],
  [
    "both",
    { "istio-lab:monitoring": { enabled: true }, "istio-lab:tracing": { provider: "zipkin" } },
    { monitoring: true, tracing: true },
  ],
  [
    "programs of the user's own",
    {
      "istio-lab:monitoring": { url: "http://prometheus:9090" },
      "istio-lab:tracing": { provider: "zipkin", endpoint: "zipkin:9411" },
    },
    { monitoring: false, tracing: false },
  ],
])("an existing lab keeps its settings: %s", async (_, config, images) => {
  made(config);
  expect(await wantedImages(lab, true)).toEqual(images);
  expect(await wantedImages(lab, false)).toEqual(images);
});

/** Tests of embedded/lab/stack.ts. */
import { delimiter, join } from "node:path";
import { expect, test } from "vitest";
import { instance } from "../../../../embedded/host/instance.ts";
import { pluginPath, pulumiHome } from "../../../../embedded/lab/pluginHome.ts";
import { labEnvironment } from "../../../../embedded/lab/stack.ts";

test("in the lab's environment the engine finds its own plugins, and neither others on PATH nor new ones", () => {
  const lab = instance("x", { state: "/state" });
  const environment = labEnvironment(lab);
  expect(environment).toMatchObject({
    PULUMI_HOME: pulumiHome(lab),
    PULUMI_IGNORE_AMBIENT_PLUGINS: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
  });
  expect(environment.PATH?.split(delimiter)[0]).toBe(pluginPath(lab));
  expect(pulumiHome(lab)).toBe(join("/state", "x", "pulumi-home"));
});

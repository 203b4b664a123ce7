/** `npm run docs`: writes Pulumi.yaml's config block and the table in docs/config.md from the settings. */
import { readFileSync, writeFileSync } from "node:fs";
import { capabilities } from "../capabilities.ts";
import { withConfigBlock, withTable } from "../settings/document.ts";
import { keysOf } from "../settings/settings.ts";

const keys = keysOf(capabilities);

for (const [path, written] of [
  ["../Pulumi.yaml", withConfigBlock],
  ["config.md", withTable],
] as const) {
  const file = new URL(path, import.meta.url);
  writeFileSync(file, written(readFileSync(file, "utf8"), keys));
}

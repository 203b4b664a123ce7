/** Records what a lab is made of: which of its parts are official artifacts, and which images it has. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Instance } from "../host/instance.ts";
import type { ImageNames } from "../toolchain/images/names.ts";
import type { Part } from "../toolchain/parts.ts";
import type { Toolchain } from "../toolchain/toolchain.ts";

export interface Made {
  readonly images: ImageNames;
  readonly parts: readonly Part[];
}

/** Undefined when the lab was never up, or when an older version made it, which has no such record. */
export async function readMade(lab: Instance): Promise<Made | undefined> {
  const text = await readFile(fileOf(lab), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Made);
}

/** Writes the record. The lab's first images stay in it, because pods and settings name them. */
export async function noteMade(lab: Instance, tools: Toolchain): Promise<void> {
  const made: Made = { images: await imagesOf(lab, tools), parts: tools.parts };
  await writeFile(fileOf(lab), JSON.stringify(made, null, 1));
}

/** The images of a lab: its first ones, and those that were added since. */
export async function imagesOf(lab: Instance, { images }: Toolchain): Promise<ImageNames> {
  return { ...images, ...(await readMade(lab))?.images };
}

function fileOf(lab: Instance): string {
  return join(lab.dir, "made.json");
}

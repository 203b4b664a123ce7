/** The pictures in docs, which the README shows. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PROGRAM } from "../../../embedded/lab/stack.ts";

/** Renews a picture in `./lab test --write`; does nothing in another run. */
export async function renewPicture(name: string, png: Uint8Array): Promise<void> {
  if (process.env.ISTIO_LAB_WRITE) await writeFile(join(PROGRAM, "docs", name), png);
}

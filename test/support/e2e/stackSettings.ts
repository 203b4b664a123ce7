/** Edits the plain settings in a stack's file, as an editor does. */
import { readFile, writeFile } from "node:fs/promises";
import { type Document, parseDocument } from "yaml";

/** Sets keys by their paths, such as `versions[0].page`. */
export async function setIn(file: string, settings: Readonly<Record<string, string>>): Promise<void> {
  await edit(file, (document) => {
    for (const [key, value] of Object.entries(settings)) {
      const path = pathOf(key);
      document.setIn(path, path.length > 2 ? typed(value) : value);
    }
  });
}

/** Removes keys by their paths. */
export async function removeIn(file: string, keys: readonly string[]): Promise<void> {
  await edit(file, (document) => {
    for (const key of keys) document.deleteIn(pathOf(key));
  });
}

async function edit(file: string, change: (document: Document) => void): Promise<void> {
  const document = parseDocument(await readFile(file, "utf8"));
  change(document);
  await writeFile(file, document.toString({ lineWidth: 0 }));
}

/** `versions[0].page` is `config`, `istio-lab:versions`, 0, `page`. */
function pathOf(key: string): (string | number)[] {
  const [first = "", ...rest] = key.split(/[.[\]]+/).filter(Boolean);
  return ["config", `istio-lab:${first}`, ...rest.map((part) => (/^\d+$/.test(part) ? Number(part) : part))];
}

/** As `pulumi config set --path` stores a text within an object. */
function typed(value: string): string | number | boolean {
  if (value === "true" || value === "false") return value === "true";
  return /^(0|[1-9]\d*)$/.test(value) ? Number(value) : value;
}

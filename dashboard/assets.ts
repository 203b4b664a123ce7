/** The page's files for the browser: TypeScript without its types, the chart library from node_modules. */
import { readFileSync } from "node:fs";
import { createRequire, stripTypeScriptTypes } from "node:module";
import { basename, dirname, join } from "node:path";

export interface Asset {
  readonly type: string;
  readonly body: string;
}

const PAGE = join(import.meta.dirname, "page");
const JAVASCRIPT = "text/javascript; charset=utf-8";
const CSS = "text/css; charset=utf-8";

/** Path to file; everything that the page loads, read once. */
export function readAssets(): ReadonlyMap<string, Asset> {
  const uplot = dirname(createRequire(import.meta.url).resolve("uplot"));
  const text = (path: string) => readFileSync(path, "utf8");
  const module = (path: string): [string, Asset] => [
    `/${basename(path)}`,
    { type: JAVASCRIPT, body: stripTypeScriptTypes(text(path)) },
  ];
  const names = ["page", "graph", "servers", "tables", "chart", "colors", "words"];
  return new Map<string, Asset>([
    ["/", { type: "text/html; charset=utf-8", body: text(join(PAGE, "page.html")) }],
    ["/page.css", { type: CSS, body: text(join(PAGE, "page.css")) }],
    ["/uplot.css", { type: CSS, body: text(join(uplot, "uPlot.min.css")) }],
    ["/uplot.js", { type: JAVASCRIPT, body: text(join(uplot, "uPlot.esm.js")) }],
    // A browser resolves `../histogram.ts` of a module at the root to the root.
    module(join(import.meta.dirname, "histogram.ts")),
    ...names.map((name) => module(join(PAGE, `${name}.ts`))),
  ]);
}

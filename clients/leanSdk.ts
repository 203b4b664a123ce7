/**
 * Loaded into Node before Pulumi's runner and SDK (`nodeargs` in Pulumi.yaml). Their parts that the program
 * does not use are loaded at their first use, or never. So the program starts in half the time.
 */
import { createRequire } from "node:module";

type Exports = Record<string, unknown>;
type Load = () => Exports;

const require = createRequire(createRequire(import.meta.url).resolve("@pulumi/pulumi/package.json"));

// Each module has the exports that the runner or the SDK's index reads.

// The SDK takes a stack trace for each promise, and looks for the source map of every file in it. Node runs
// the program's TypeScript as it is, without source maps.
defer("source-map-support/register", () => ({}));

// A debugger notes each script's name, for messages about functions that cannot be turned into text.
defer("./runtime/closure/v8Hooks", (load) => ({
  isInitializedAsync: async () => {},
  ...functions(load, ["getSessionAsync", "getScriptUrl"]),
}));

// What turns functions into text, with TypeScript's compiler and npm's Arborist.
defer("./runtime/closure/serializeClosure", (load) =>
  functions(load, ["serializeFunction", "serializeFunctionAsync"]),
);
defer("./runtime/closure/codePaths", (load) => functions(load, ["computeCodePaths"]));

// What runs Pulumi's command line from a program.
defer("./automation/index", (load) => {
  const get = (own: Exports, name: string) => own[name] ?? load()[name];
  return new Proxy<Exports>({}, { get: (own, name) => get(own, String(name)) });
});

// OpenTelemetry, for `pulumi up --tracing`.
const unrecorded = { addEvent() {}, setAttribute() {}, end() {} };
if (!process.argv.includes("--tracing") && !process.env.TRACEPARENT)
  defer("./cmd/run/tracing", () => ({ newSpan: () => unrecorded }));

/** Functions that load their module when one of them is called. */
function functions(load: Load, names: readonly string[]): Exports {
  type AnyFunction = (...args: unknown[]) => unknown;
  return Object.fromEntries(
    names.map((name) => [name, (...args: unknown[]) => (load()[name] as AnyFunction)(...args)]),
  );
}

/** Puts other exports into Node's cache of modules. */
function defer(module: string, exportsOf: (load: Load) => Exports): void {
  const path = pathOf(module);
  if (path === undefined) return;
  const exports = exportsOf(() => {
    if (require.cache[path] === deferred) Reflect.deleteProperty(require.cache, path);
    return require(path) as Exports;
  });
  // Without it, the SDK would copy the exports, and load what they load.
  exports.__esModule = true;
  const entry = { id: path, filename: path, loaded: true, children: [], paths: [], exports };
  const deferred = entry as unknown as NodeJS.Module;
  require.cache[path] = deferred;
}

/** Undefined for a module that another version of the SDK does not have. */
function pathOf(module: string): string | undefined {
  try {
    return require.resolve(module);
  } catch {
    return undefined;
  }
}

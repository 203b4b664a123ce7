/**
 * A stand-in for pulumi-language-nodejs: runs a Node program for Pulumi's engine as the official language
 * host does, with the Node on PATH. It lists no required plugins, so the engine downloads none,
 * and installs no dependencies.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { announce, empty, endWithEngine, pluginInfo, serve, unary } from "./server.ts";
import { unsupported } from "./values.ts";

const require = createRequire(import.meta.url);
const messages: typeof import("@pulumi/pulumi/proto/language_pb.js") = require("@pulumi/pulumi/proto/language_pb.js");
const services: typeof import("@pulumi/pulumi/proto/language_grpc_pb.js") = require("@pulumi/pulumi/proto/language_grpc_pb.js");

type RunRequest = InstanceType<typeof messages.RunRequest>;

/** Exit code of `@pulumi/pulumi/cmd/run` after it has reported the error to the engine. */
const EXIT_ERROR_REPORTED = 32;
/** As in the official host, a program that outlives a SIGINT by this time is killed. */
const INTERRUPT_GRACE_MS = 5000;
/** As in the official host, which checks every five minutes whether its engine runs. */
const ORPHANED_MS = 5 * 60_000;

await main();

async function main(): Promise<void> {
  const programs = new Set<ChildProcess>();
  let engineAddress = process.argv.slice(2).findLast((argument) => !argument.startsWith("-")) ?? "";
  const interrupt = () => {
    for (const program of programs) stop(program);
  };

  // The program would never end: each message to the dead engine fails, and each failure is a new message.
  const orphaned = () => {
    for (const program of programs) program.kill("SIGKILL");
  };

  const port = await serve(services.LanguageRuntimeService, {
    handshake: unary((request: InstanceType<typeof messages.LanguageHandshakeRequest>) => {
      engineAddress = request.getEngineAddress();
      return new messages.LanguageHandshakeResponse();
    }),
    getPluginInfo: unary(() => pluginInfo(sdkVersion(createRequire(import.meta.url)))),
    getRequiredPackages: unary(() => new messages.GetRequiredPackagesResponse()),
    getProgramDependencies: unary(() => new messages.GetProgramDependenciesResponse()),
    about: unary(() =>
      new messages.AboutResponse().setExecutable(process.execPath).setVersion(process.version),
    ),
    run: unary((request: RunRequest) => run(request, engineAddress, programs)),
    cancel: unary(() => {
      interrupt();
      return empty();
    }),
  });
  endWithEngine({ interrupt, orphaned, orphanedMs: ORPHANED_MS });
  announce(port);
}

async function run(request: RunRequest, engineAddress: string, programs: Set<ChildProcess>) {
  const response = new messages.RunResponse();
  const directory = request.getInfo()?.getProgramDirectory() || request.getPwd();
  const runner = findRunner(directory);
  if (runner === undefined) {
    return response.setError(
      `the package @pulumi/pulumi is not installed in ${directory}; run \`npm install\` there first`,
    );
  }
  const { typescript, nodeargs = "", ...others } = request.getInfo()?.getOptions()?.toJavaScript() ?? {};
  if (typescript !== false) return response.setError(unsupported("Pulumi's own TypeScript loader"));
  for (const option of Object.keys(others)) return response.setError(unsupported(`runtime option ${option}`));
  if (/["'\\]/.test(String(nodeargs)))
    return response.setError(unsupported("a quote in the runtime option nodeargs"));
  const ofNode = String(nodeargs).split(/\s+/).filter(Boolean);
  const program = spawn("node", [...ofNode, runner, ...programArguments(request, engineAddress, directory)], {
    env: { ...process.env, ...programEnvironment(request) },
    stdio: ["ignore", "inherit", "inherit"],
  });
  programs.add(program);
  try {
    return await outcome(program);
  } finally {
    programs.delete(program);
  }
}

/** The flags of `@pulumi/pulumi/cmd/run`, without the empty ones, as in the official host. */
function programArguments(request: RunRequest, engineAddress: string, directory: string): string[] {
  const info = request.getInfo();
  const flags: [name: string, value: string][] = [
    ["monitor", request.getMonitorAddress()],
    ["engine", engineAddress],
    ["organization", request.getOrganization()],
    ["project", request.getProject()],
    ["root-directory", info?.getRootDirectory() ?? ""],
    ["stack", request.getStack()],
    ["pwd", directory],
    ["parallel", String(request.getParallel())],
  ];
  return [
    ...flags.filter(([, value]) => value !== "").flatMap(([name, value]) => [`--${name}`, value]),
    ...(request.getDryrun() ? ["--dry-run"] : []),
    info?.getEntryPoint() || request.getProgram() || ".",
    ...request.getArgsList(),
  ];
}

function programEnvironment(request: RunRequest): Record<string, string> {
  return {
    PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().getEntryList())),
    PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
  };
}

function outcome(program: ChildProcess) {
  return new Promise<InstanceType<typeof messages.RunResponse>>((resolve) => {
    const response = new messages.RunResponse();
    program.once("error", (error) =>
      resolve(response.setError(`could not start the program: ${error.message}`)),
    );
    program.once("exit", (code, signal) => {
      if (code === EXIT_ERROR_REPORTED) response.setBail(true);
      else if (code !== 0)
        response.setError(
          code === null
            ? `Program was ended by ${signal} (${constants.signals[signal ?? "SIGKILL"]})`
            : `Program exited with non-zero exit code: ${code}`,
        );
      resolve(response);
    });
  });
}

function stop(program: ChildProcess): void {
  program.kill("SIGINT");
  setTimeout(() => program.kill("SIGKILL"), INTERRUPT_GRACE_MS).unref();
}

/** `@pulumi/pulumi/cmd/run` as the program itself would resolve it. */
function findRunner(directory: string): string | undefined {
  try {
    const manifest = createRequire(pathToFileURL(join(directory, "index.js"))).resolve(
      "@pulumi/pulumi/package.json",
    );
    return join(dirname(manifest), "cmd/run");
  } catch {
    return undefined;
  }
}

function sdkVersion(from: NodeJS.Require): string {
  return JSON.parse(readFileSync(from.resolve("@pulumi/pulumi/package.json"), "utf8")).version;
}

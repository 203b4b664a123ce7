/** A stand-in load balancer for the scripts: commands of the real names, in a directory first on PATH. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withFirstLine } from "../../../haproxy/firstLine.ts";
import { labModel } from "../../../haproxy/model.ts";
import { renderHaproxy } from "../../../haproxy/render.ts";

export const OWNER = "organization/istio-lab/dev";
export const ORIGINAL = "global\n# the file from before the first push\n";

export function config(http2 = 30934, owner = OWNER): string {
  const nodes = [{ name: "rancher-node02", address: "10.0.0.2" }];
  return renderHaproxy(labModel({ owner, nodes, nodePorts: { http2, statusPort: 30580 } }));
}

/** The text with a first line that has the right hash. */
export const signed = (text: string) => withFirstLine(OWNER, text.slice(text.indexOf("\n") + 1));

export const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

interface MachineArgs {
  /** haproxy.cfg before the first push. @default none */
  original?: string;
  /** systemd's LoadState of haproxy.service. @default loaded */
  loadState?: string;
  /** What `haproxy -v` prints. @default Debian 12's */
  version?: string;
  /** Tools that the machine lacks. @default none */
  without?: readonly string[];
  /** Seconds that a push waits for a new worker process. @default as long as a test may take */
  patience?: number;
}

const machines: string[] = [];

/** Removes the machines that a test has made. */
export function removeMachines(): void {
  for (const root of machines.splice(0)) rmSync(root, { recursive: true });
}

/**
 * A machine whose HAProxy is a few files: `worker` has its process id, `loaded` its configuration. It rejects
 * "mode httpp", does not start with "bind *:22", and cannot listen on port 23.
 */
export function makeMachine({
  original,
  loadState = "loaded",
  version = "HAProxy version 2.6.12-1+deb12u2 2025/04/01 - https://haproxy.org/",
  without = [],
  patience = 30,
}: MachineArgs) {
  const root = mkdtempSync(join(tmpdir(), "istio-lab-machine-"));
  machines.push(root);
  const directory = join(root, "etc");
  const file = join(directory, "haproxy.cfg");
  const bin = join(root, "bin");
  const home = join(root, "home");
  for (const path of [directory, bin, home, join(root, "run")]) mkdirSync(path);
  if (original !== undefined) writeFileSync(file, original);
  const declare = (words: string, properties: string) =>
    writeFileSync(
      join(root, "unit"),
      `ExecStart={ path=${bin}/haproxy ; argv[]=${bin}/haproxy -Ws ${words} ; ignore_errors=no ; }\n${properties}\n`,
    );
  declare(`-f ${file} -p /run/haproxy.pid`, "");
  writeFileSync(join(root, "worker"), "100");
  writeFileSync(join(root, "loaded"), original ?? "");
  for (const [name, body] of Object.entries(standIns(file, { loadState, version })))
    if (!without.includes(name))
      writeFileSync(join(bin, name), `#!/bin/sh\nroot=${root}\n${body}\n`, { mode: 0o755 });
  // Where some tools are missing, PATH has only the stand-ins and the programs that are linked here.
  if (without.length > 0) linkHostTools(bin, without);
  const env = { ...process.env, PATH: without.length > 0 ? bin : `${bin}:${process.env.PATH}` };
  const run = (parts: string[], args: string[], input: string) => {
    const text = parts
      .map((part) => readFileSync(new URL(`../../../haproxy/${part}.sh`, import.meta.url), "utf8"))
      .join("")
      // The scripts' absolute paths, which PATH does not replace.
      .replaceAll("/run/systemd/system", root)
      .replaceAll("/var/lib/haproxy", home)
      .replaceAll("/run/haproxy/", `${root}/run/`)
      .replaceAll("/proc/", `${root}/proc/`)
      .replace("PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin", "")
      .replace("patience=10", `patience=${patience}`);
    const words = ["--file", file, ...args];
    return spawnSync("/bin/sh", ["-c", text, `${parts.at(-1)}.sh`, ...words], {
      encoding: "utf8",
      env,
      input,
    });
  };
  const push = (args: string[], input = "") =>
    run(
      ["common", "ask", "unit", "checks", "push"],
      ["--socket", join(root, "run", "admin.sock"), ...args],
      input,
    );
  const readIn = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : undefined);
  return {
    root,
    directory,
    file,
    push: (input: string, ...args: string[]) => push(args, input),
    look: (...args: string[]) => push(["--look", "--owner", OWNER, ...args]),
    restore: (...args: string[]) =>
      run(["common", "ask", "unit", "restore"], ["--owner", OWNER, ...args], ""),
    read: (suffix = "") => readIn(file + suffix),
    files: () => readdirSync(directory).sort(),
    worker: () => readIn(join(root, "worker"))?.trim(),
    loaded: () => readIn(join(root, "loaded")),
    /** HAProxy's arguments at its last check. */
    checked: () => readIn(join(root, "checked"))?.trim(),
    /** The command line of the service's main process. */
    runsWith: (...words: string[]) => {
      mkdirSync(join(root, "proc/7"), { recursive: true });
      writeFileSync(join(root, "proc/7/cmdline"), ["haproxy", "-Ws", ...words, ""].join("\0"));
    },
    /** Command line and properties of the unit, as the next start will have them. */
    declare,
    /** The other files that HAProxy reads have no listener. */
    listensNowhereElse: () => writeFileSync(join(root, "nowhere"), ""),
    /** Process 99 listens on an address, as a child of that one, in a unit. */
    alsoListens: (address: string, { parent = 1, unit = "haproxy@site" } = {}) => {
      mkdirSync(join(root, "proc/99"), { recursive: true });
      writeFileSync(join(root, "proc/99/status"), `Name:\thaproxy\nPPid:\t${parent}\n`);
      writeFileSync(join(root, "proc/99/cgroup"), `0::/system.slice/system-x.slice/${unit}.service\n`);
      const users = 'users:(("haproxy",pid=99,fd=5))';
      writeFileSync(join(root, "sockets"), `LISTEN 0 2000 ${address} 0.0.0.0:* ${users}\n`);
    },
    /** The service's main process keeps SIGUSR2 and others blocked. */
    blocksSignals: () => writeFileSync(join(root, "proc/7/status"), "SigBlk:\t0000000000300a01\n"),
    stop: () => {
      for (const name of ["worker", "loaded"]) rmSync(join(root, name));
    },
  };
}

/** Commands by name; `$root` is the machine's directory. */
function standIns(file: string, { loadState, version }: { loadState: string; version: string }) {
  const alert = (what: string) =>
    `[ALERT] (1) : config : [$file:$(grep -n '${what}' "$file" | cut -d : -f 1)] : unknown mode`;
  return {
    id: "echo 0",
    // The admin socket; an HTTP answer, of another worker process than the newest with "lf-string stale";
    // port 23 is in use.
    perl: `case "$*" in
      *ExecStart*) exec /usr/bin/perl "$@";;
      *"show info") echo "Pid: $(cat $root/worker)";;
      *"reload") rm $root/proc/7/status; $root/bin/systemctl reload;;
      *GET*) if grep -qs 'lf-string stale' ${file}; then echo 99; else cat $root/worker; fi;;
      *23) printf "Address already in use";;
    esac`,
    ss: `[ ! -e $root/sockets ] || exec cat $root/sockets
      echo "LISTEN 0 128 0.0.0.0:23 0.0.0.0:* users:((\\"inetd\\",pid=8,fd=3))"`,
    haproxy: `[ "$1" != -v ] || { echo "${version}"; exit; }
      echo "$*" >$root/checked
      case "$*" in *${file}*) ;; *) [ ! -e $root/nowhere ] || { echo "will not start (no listener)" >&2; exit 2; };; esac
      for file in "$@"; do
        if grep -qs 'mode httpp' "$file"; then echo "${alert("mode httpp")}" >&2; exit 1; fi
      done`,
    journalctl: 'case "$*" in *show-cursor*) echo "-- cursor: 1";; *) cat $root/journal 2>/dev/null;; esac',
    systemctl: `
      new_worker() {
        if grep -q 'bind .:22' ${file}; then
          echo "[ALERT] (1) : Binding [${file}:$(grep -n 'bind .:22' ${file} | cut -d : -f 1)] for frontend http: cannot bind. Exiting" > $root/journal
          return
        fi
        rm -f $root/journal
        cp ${file} $root/loaded; next=$(($(cat $root/next 2>/dev/null || echo 100) + 1)); echo $next > $root/next; echo $next > $root/worker
      }
      case "$*" in
        *LoadState*) echo ${loadState};;
        *MainPID*) ls $root/proc 2>/dev/null | head -n 1;;
        *EnvironmentFiles*) cat $root/unit 2>/dev/null;;
        *UnitFileState*) cat $root/unit-file-state 2>/dev/null;;
        *RuntimeDirectory*) cat $root/runtime-directory 2>/dev/null;;
        is-active*) [ -e $root/worker ];;
        reload*) [ -e $root/proc/7/status ] || new_worker;;
        start*) new_worker;;
        stop*) rm -f $root/worker $root/loaded;;
      esac`,
  };
}

const HOST_TOOLS =
  "awk basename cat chmod chown cmp cp cut date diff dirname flock grep head ls mktemp mv readlink rm sed sha256sum sleep sort sync tail timeout tr";

function linkHostTools(bin: string, without: readonly string[]): void {
  for (const tool of HOST_TOOLS.split(" ").filter((name) => !without.includes(name)))
    writeFileSync(join(bin, tool), `#!/bin/sh\nPATH=/usr/bin:/bin\nexec ${tool} "$@"\n`, { mode: 0o755 });
}

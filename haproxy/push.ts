/** The bytes of a push: which command runs on the load balancer, and what goes to its standard input. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Account, becomeRoot, quote } from "../clients/shell.ts";
import { ADMIN_SOCKET, WORKER_SOCKET } from "./render.ts";

/** What the scripts need of a load balancer. */
export interface PushTarget extends Account {
  /** Absolute path of the file that HAProxy reads. */
  readonly configFile: string;
  /**
   * `file`: a push may replace a file that serves other clients; `include`: the file lives beside others.
   * @default a file that serves other clients is refused
   */
  readonly mode?: "file" | "include" | undefined;
  /** systemd's unit of HAProxy. @default haproxy */
  readonly unit?: string | undefined;
  /** Starts or reloads HAProxy without systemd. @default systemctl */
  readonly reloadCommand?: string | undefined;
}

/** A command for SSH and its standard input. */
export interface RemoteScript {
  readonly command: string;
  readonly input: string;
}

/** @param content `config` is haproxy.cfg, `pem` the chain and key that it names. */
export function push(
  target: PushTarget,
  { config, pem = "", edits = [] }: { config: string; pem?: string; edits?: readonly string[] },
): RemoteScript {
  const start = launcher(target, "push.sh", PUSH, [...options(target), ...sockets(target)]);
  return { command: command("push.sh", start, edits), input: start + PUSH + pem + config };
}

/** Puts back the file from before the first push of this owner. */
export function restore(target: PushTarget, owner: string): RemoteScript {
  const start = launcher(target, "restore.sh", RESTORE, [...options(target), "--owner", owner]);
  return { command: command("restore.sh", start), input: start + RESTORE };
}

/**
 * Reports what would make a push fail; parseReport reads it.
 * @param listen the addresses that the file will have.
 */
export function look(
  target: PushTarget,
  { owner, listen }: { owner: string; listen: readonly string[] },
): RemoteScript {
  const args = [
    "--look",
    ...options(target),
    ...["--socket", ADMIN_SOCKET, "--owner", owner, "--listen", listen.join(" ")],
  ];
  const start = `echo '${REPORT_BEGINS}'
${becomeRoot(target)}if [ -n "$refusal" ]; then
  root=
  printf 'fault %s\\n' "$refusal"
fi
$root ${shell("push.sh", PUSH, args, 20)}
echo "${REPORT_ENDS} $?"
`;
  return { command: command("push.sh", start), input: start + PUSH };
}

/**
 * Path of the certificate of a configuration. The hash makes a new certificate a new file, which a new
 * configuration names.
 */
export function certificateFile(configFile: string, certificate: string): string {
  return `${configFile}.tls-${createHash("sha256").update(certificate).digest("hex").slice(0, 16)}.pem`;
}

export const REPORT_BEGINS = "istio-lab look begins";
/** The exit status stands behind it. */
export const REPORT_ENDS = "istio-lab look ended with status";

const read = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8");
const PUSH = ["common.sh", "ask.sh", "unit.sh", "checks.sh", "push.sh"].map(read).join("");
const RESTORE = ["common.sh", "ask.sh", "unit.sh", "restore.sh"].map(read).join("");

/**
 * One line that every login shell (sh, bash, zsh, fish, csh) hands to sh unchanged: plain words and one pair
 * of single quotes, without backslash, `!` or newline in them. It runs the launcher, the first bytes of
 * standard input.
 * @param marks words that the launcher ignores. They make it another command, so that Pulumi runs it again
 * (`triggers` would replace the resource, and restore the old file first).
 */
function command(name: string, start: string, marks: readonly string[] = []): string {
  const words = marks.length > 0 ? ["edited", "by", "hand", ...marks] : [];
  return [`sh -c 'eval "$(head -c ${Buffer.byteLength(start)})"'`, name, ...words.map(quote)].join(" ");
}

/** Becomes root and runs the script, which follows on standard input; the rest of it is the script's own. */
function launcher(target: PushTarget, name: string, script: string, args: readonly string[]): string {
  return `${becomeRoot(target)}if [ -n "$refusal" ]; then
  printf 'error: %s\\n' "$refusal" >&2
  exit 1
fi
exec $root ${shell(name, script, args, 120)}
`;
}

/** `head -c` reads not one byte more than it should. */
function shell(name: string, script: string, args: readonly string[], seconds: number): string {
  const words = ["sh", "-c", `eval "$(head -c ${Buffer.byteLength(script)})"`, name, ...args];
  return `timeout ${seconds} ${words.map(quote).join(" ")}`;
}

function options({ configFile, mode, unit, reloadCommand }: PushTarget): string[] {
  return [
    ...["--file", configFile],
    ...(mode ? ["--mode", mode] : []),
    ...(unit && unit !== "haproxy" ? ["--unit", unit] : []),
    ...(reloadCommand ? ["--reload", reloadCommand] : []),
  ];
}

/** A file beside others has no admin socket of its own, and the script finds its worker's in it. */
const sockets = ({ mode }: PushTarget): string[] =>
  mode === "include" ? [] : ["--socket", ADMIN_SOCKET, "--probe", WORKER_SOCKET];

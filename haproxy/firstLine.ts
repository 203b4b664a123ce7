/** The first line of haproxy.cfg, which common.sh reads too: owner, and SHA-256 of the lines below. */
import { createHash } from "node:crypto";

export interface FirstLine {
  /** The stack, e.g. `organization/istio-lab/dev`. */
  readonly owner: string;
  /** SHA-256 of the lines below when they were pushed. */
  readonly hash: string;
}

/** The file: its lines with the first line above them. */
export function withFirstLine(owner: string, body: string): string {
  return `# istio-lab owner=${owner} sha256=${sha256(body)}\n${body}`;
}

/** Undefined for a file that is not this project's. */
export function readFirstLine(file: string): FirstLine | undefined {
  const [, owner, hash] = /^# istio-lab owner=(\S+) sha256=([0-9a-f]{64})\n/.exec(file) ?? [];
  return owner && hash ? { owner, hash } : undefined;
}

/** True when the lines below the first one are as they were pushed. */
export function isIntact(file: string): boolean {
  return readFirstLine(file)?.hash === sha256(file.slice(file.indexOf("\n") + 1));
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

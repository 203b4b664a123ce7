/** The public host key of an SSH server: one type, read once from text. */
import { createHash } from "node:crypto";

export interface HostKey {
  /** E.g. `ssh-ed25519`. */
  readonly type: string;
  /** As the server sends it. */
  readonly bytes: Buffer;
  /** `TYPE BASE64`, without a comment. */
  readonly text: string;
}

/** Types that Pulumi's SSH client and every supported sshd can use, the best first. */
const USABLE = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];

/** The best usable host key of a text, as {@link parseHostKeys} reads it; undefined where there is none. */
export function bestHostKey(text: string): HostKey | undefined {
  const usable = parseHostKeys(text)?.filter(({ type }) => USABLE.includes(type)) ?? [];
  return usable.sort((a, b) => USABLE.indexOf(a.type) - USABLE.indexOf(b.type))[0];
}

/**
 * Reads host keys from the output of `ssh-keyscan` (host name first, one line a key, comment lines), from a
 * file such as /etc/ssh/ssh_host_ed25519_key.pub, or from `TYPE BASE64`.
 * @returns undefined where a line is something else
 */
export function parseHostKeys(text: string): HostKey[] | undefined {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const keys = lines.filter((line) => line !== "" && !COMMENT.test(line)).map(parseLine);
  return keys.every((key) => key !== undefined) ? keys : undefined;
}

/** Also a comment of ssh-keyscan 9.8 and later, `# HOST:22 SSH-2.0-…`, cut to its last fields. */
const COMMENT = /^#|^(\S+ )?SSH-[0-9.]+-/;

/** `[HOST] TYPE BASE64 [COMMENT]`, where the bytes begin with the same type. */
function parseLine(line: string): HostKey | undefined {
  const words = line.split(/[ \t]+/);
  const at = words.findIndex((word, index) => index < 2 && isType(word));
  const [type = "", body = ""] = at < 0 ? [] : words.slice(at);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(body)) return undefined;
  const bytes = Buffer.from(body, "base64");
  const named = bytes.length > 40 && bytes.readUInt32BE(0) === type.length;
  if (!named || bytes.toString("latin1", 4, 4 + type.length) !== type) return undefined;
  return { type, bytes, text: `${type} ${body}` };
}

/** The one host key of `TYPE BASE64`. */
export function parseHostKey(text: string): HostKey | undefined {
  const keys = parseHostKeys(text);
  return keys?.length === 1 ? keys[0] : undefined;
}

const isType = (word: string) => word === "ssh-rsa" || USABLE.includes(word);

/** As `ssh-keygen -l` prints it. */
export function fingerprint(bytes: Buffer = Buffer.alloc(0)): string {
  return `SHA256:${createHash("sha256").update(bytes).digest("base64").replace(/=+$/, "")}`;
}

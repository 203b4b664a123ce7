/** Types of values in settings, each with the message that says what would be right. */
import { isIP, isIPv4, isIPv6 } from "node:net";
import { z } from "zod";
import { bestHostKey, type HostKey, parseHostKeys } from "../clients/hostKey.ts";
import type { Listen } from "../haproxy/model.ts";
import type { CheckContext } from "./slice.ts";

const CONTROL = /\p{Cc}/u;
const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const HOST_LABEL = /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;

/** A text with a test. The one message says what would be right. */
export const text = (right: string, test: (value: string) => boolean) =>
  z.string({ error: right }).refine(test, { error: right });

export const integer = (right: string, least: number, most: number) =>
  z
    .number({ error: right })
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, { error: right });

/** A quantity of Kubernetes, as text. YAML reads one without a unit as a number. */
export const quantity = (right: string, form: RegExp) =>
  z
    .union([z.string(), z.number()], { error: right })
    .transform(String)
    .refine((value) => form.test(value), { error: right });

export const port = () => integer("give a port from 1 to 65535", 1, 65535);

export const flag = () => z.boolean({ error: "give true or false" });

/** An object with these fields and no others. A wrong type gets this message, an unknown field its own. */
export const object = <S extends z.ZodRawShape>(right: string, shape: S) =>
  z.strictObject(shape, { error: (issue) => (issue.code === "invalid_type" ? right : undefined) });

export const isPlain = (value: string, longest: number) => value.length <= longest && !CONTROL.test(value);

/** A DNS label in lower case, as Kubernetes requires of names. */
export const isLabel = (value: string, longest = 63) => value.length <= longest && LABEL.test(value);

/** A label's value in Kubernetes. */
export const isLabelValue = (value: string) =>
  value.length <= 63 && /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(value);

/** A label's name in Kubernetes: a DNS name and a slash may be in front. */
export function isLabelName(value: string): boolean {
  const [name = "", prefix, ...more] = value.split("/").reverse();
  return more.length === 0 && isLabelValue(name) && (prefix === undefined || isDnsName(prefix));
}

/** A DNS name of RFC 1123 in lower case, but no malformed IPv4 address. */
export function isDnsName(value: string): boolean {
  const labels = value.split(".");
  return value.length <= 253 && labels.every((label) => isLabel(label)) && !isNumber(labels.at(-1));
}

/** A machine's name as resolvers accept it, also with upper case and underscores. */
export function isHostName(value: string): boolean {
  const labels = value.split(".");
  return value.length <= 253 && labels.every((label) => HOST_LABEL.test(label)) && !isNumber(labels.at(-1));
}

/** An address or a machine's name, without an IPv6 zone, which is valid on one machine only. */
export const isReachable = (value: string) => (isIP(value) > 0 && !value.includes("%")) || isHostName(value);

/** An address, or one with the length of its network's prefix, e.g. `192.0.2.0/24`. */
export function isNetwork(value: string): boolean {
  const [address = "", prefix, ...more] = value.split("/");
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address) as 0 | 4 | 6];
  if (more.length > 0 || bits < 0 || address.includes("%")) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
}

const isNumber = (label = "") => /^[0-9]+$/.test(label);

/** The host name of a site, in lower case and without a last dot, because DNS ignores both. */
export const siteName = () =>
  text("give a DNS name, e.g. nginx.hung.org.hk", (value) => isDnsName(plainDns(value))).transform(plainDns);

/** The same, or `*.` and a name, or `*`. */
export const sitePattern = () =>
  text("give a DNS name, which may begin with *.", (value) => {
    const name = plainDns(value);
    return name === "*" || isDnsName(name.startsWith("*.") ? name.slice(2) : name);
  }).transform(plainDns);

const plainDns = (value: string) => value.toLowerCase().replace(/\.$/, "");

const IMAGE =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[a-f0-9]{64})?$/;

export const image = () =>
  text("give an image reference, e.g. nginx:1.16.1", (value) => value.length <= 512 && IMAGE.test(value));

export const isFilePath = (value: string) =>
  value.length <= 4096 &&
  /^(\/[A-Za-z0-9._-]+)+$/.test(value) &&
  !value.split("/").some((part) => /^\.+$/.test(part));

/** `ADDRESS:PORT` of the load balancer. */
export const listen = () =>
  text(
    "give an address of the load balancer and a port, e.g. 127.0.0.1:8404 or [::1]:8404",
    (value) => parseListen(value) !== undefined,
  ).transform((value) => parseListen(value) as Listen);

function parseListen(value: string): Listen | undefined {
  const [, six = "", four = "", digits] =
    /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15})):([1-9][0-9]{0,4})$/.exec(value) ?? [];
  const port = Number(digits);
  const good = (isIPv6(six) || isIPv4(four)) && port <= 65535;
  return good ? { address: six || four, port } : undefined;
}

/** What would be right for {@link hostKey}. */
export const WANT_HOST_KEY =
  "give the machine's public host key as `ssh-keyscan HOST` prints it, and compare it with the " +
  "machine's own /etc/ssh/ssh_host_ed25519_key.pub";
const NO_RSA =
  "Pulumi's SSH client uses an ssh-rsa key with SHA-1 only, which OpenSSH 8.8 and later refuse: give " +
  "the ed25519 key that `ssh-keyscan -t ed25519 HOST` prints (where there is none, `sudo ssh-keygen " +
  "-A` on the machine makes it)";

/** The best key of what ssh-keyscan prints. */
export const hostKey = () =>
  z
    .string({ error: WANT_HOST_KEY })
    .refine((value) => (parseHostKeys(value)?.length ?? 0) > 0, { error: WANT_HOST_KEY, abort: true })
    .refine((value) => bestHostKey(value) !== undefined, { error: NO_RSA })
    .transform((value) => bestHostKey(value) as HostKey);

const PRIVATE_KEY =
  /^-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\r?\n[A-Za-z0-9+/=\s:,-]+\r?\n-----END ([A-Z]+ )?PRIVATE KEY-----$/;

/** An SSH private key without a passphrase, because `pulumi up` cannot prompt for one. */
export const privateKey = (right: string) =>
  text(right, (value) => PRIVATE_KEY.test(value.trim())).refine((value) => !hasPassphrase(value), {
    error: "it is protected by a passphrase; give a key without one, made for this purpose",
  });

function hasPassphrase(pem: string): boolean {
  if (/ENCRYPTED/.test(pem)) return true;
  const body = pem.replace(/-----[^-]+-----/g, "").replace(/\s/g, "");
  const bytes = Buffer.from(body, "base64").toString("latin1");
  return bytes.startsWith("openssh-key-v1\0") && !bytes.startsWith("openssh-key-v1\0\0\0\0\u0004none");
}

/** A fault for each item of a list whose field equals that of an earlier item. */
export function checkDistinct<T>(
  list: string,
  items: readonly T[],
  field: keyof T & string,
  right: string,
  fault: CheckContext["fault"],
): void {
  items.forEach((item, index) => {
    const first = items.findIndex((other) => other[field] === item[field]);
    if (first < index)
      fault(`${list}[${index}].${field}`, item[field], `${list}[${first}] has the same: ${right}`);
  });
}

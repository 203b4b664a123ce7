/** Quotes words for a POSIX shell, and makes a user root, or says why sudo refuses. */

/** The text as one word of a POSIX shell. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A user of another machine, or the one of this process. */
export interface Account {
  /** True: this machine, whose user is known when the command runs. @default false */
  readonly local?: boolean | undefined;
  readonly user: string;
  /** Address or name. */
  readonly host: string;
}

/**
 * Lines for a POSIX shell: `$root` becomes the words that make the user root, empty for root; `$refusal`
 * becomes empty, or why the user cannot be root and the way out.
 */
export function becomeRoot(account: Account): string {
  const password = refusal(account, "may not run sudo without a password");
  const terminal = refusal(account, "may not run sudo without a terminal", { setting: "!requiretty" });
  const programs = refusal(account, "may start one program by sudo, and that one no other", {
    setting: "!noexec",
  });
  return `root=
refusal=
if [ "$(id -u)" -ne 0 ]; then
  root="sudo -n -u root"
  if ! command -v sudo >/dev/null; then
    refusal=${refusal(account, "is not root, and there is no sudo", { first: "install it, and " })}
  elif ! why=$({ LC_ALL=C sudo -n -u root env true </dev/null; } 2>&1); then
    case $why in
      *"must have a tty"*) refusal=${terminal} ;;
      *"env: "*"ermission denied"*) refusal=${programs} ;;
      *"password is required"* | "") refusal=${password} ;;
      *) refusal=${password}" (sudo prints: $(printf %s "$why" | tr '\\n' ' '))" ;;
    esac
  fi
fi
`;
}

/** One word for a POSIX shell; on this machine the user's name is known when the command runs. */
function refusal(
  { local, user, host }: Account,
  what: string,
  { first = "", setting }: { readonly first?: string; readonly setting?: string } = {},
): string {
  const lines = (name: string, mark: string) => {
    const all = [...(setting ? [`Defaults:${name} ${setting}`] : []), `${name} ALL=(ALL) NOPASSWD: ALL`];
    return all.map((line) => `${mark}${line}${mark}`).join(" and ");
  };
  const file = "/etc/sudoers.d/istio-lab";
  if (local) {
    const put = `put ${lines("$(id -un)", '\\"')} into ${file}, or run pulumi as root`;
    return `"$(id -un) ${what} on this machine: ${first}${put}"`;
  }
  // In a sudoers file these characters of a user name need a backslash.
  const inSudoers = user.replace(/[\\@]/g, "\\$&");
  return quote(`${user} ${what} on ${host}: ${first}put ${lines(inSudoers, '"')} into ${file} there`);
}

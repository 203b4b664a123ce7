/** Quotes words for a POSIX shell, and words the advice for a user whom sudo refuses. */

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

/** Why a user cannot become root, and the way out; one word for a POSIX shell. */
export function sudoComplaint({ local, user, host }: Account): string {
  if (local)
    return (
      '"$(id -un) may not run sudo without a password on this machine: ' +
      'put \\"$(id -un) ALL=(ALL) NOPASSWD: ALL\\" into /etc/sudoers.d/istio-lab, or run pulumi as root"'
    );
  // In a sudoers file these characters of a user name need a backslash.
  const inSudoers = user.replace(/[\\@]/g, "\\$&");
  return quote(
    `${user} may not run sudo without a password on ${host}: ` +
      `put "${inSudoers} ALL=(ALL) NOPASSWD: ALL" into /etc/sudoers.d/istio-lab there`,
  );
}

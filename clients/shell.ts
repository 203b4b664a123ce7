/** Quotes words for a POSIX shell, and says what helps a user whom sudo refuses. */

/** One word for any POSIX shell, whatever characters it holds. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Why a user cannot become root, and the way out. */
export function sudoComplaint({ user, host }: { readonly user: string; readonly host: string }): string {
  // In a file of sudoers these characters of a directory's user name need a backslash.
  const inSudoers = user.replace(/[\\@]/g, "\\$&");
  return (
    `${user} may not run sudo without a password on ${host}: ` +
    `put "${inSudoers} ALL=(ALL) NOPASSWD: ALL" into /etc/sudoers.d/istio-lab there`
  );
}

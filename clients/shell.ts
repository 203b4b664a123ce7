/** Words for shells, and what to tell a user whom sudo refuses. */

/** One word for any POSIX shell, whatever it holds. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** What helps a user who may not be root. */
export function sudoComplaint({ user, host }: { readonly user: string; readonly host: string }): string {
  // In a file of sudoers these characters of a directory's user name need a backslash.
  const inSudoers = user.replace(/[\\@]/g, "\\$&");
  return `${user} may not run sudo without a password on ${host}: put "${inSudoers} ALL=(ALL) NOPASSWD: ALL" into /etc/sudoers.d/istio-lab there`;
}

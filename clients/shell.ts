/** One word for any POSIX shell, whatever it holds. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** What a user without the right to be root can do about it. */
export function sudoComplaint({ user, host }: { readonly user: string; readonly host: string }): string {
  return `${user} may not run sudo without a password on ${host}: put "${user} ALL=(ALL) NOPASSWD: ALL" into /etc/sudoers.d/istio-lab there`;
}

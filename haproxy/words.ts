/** Guards of haproxy.cfg: what comes from settings stands there as one plain word or a whole number. */

/** One word that HAProxy reads literally: no space, quote, comment, escape or variable. */
export function word(text: string): string {
  if (!/^[A-Za-z0-9_./:-]+$/.test(text))
    throw new Error(`haproxy.cfg: ${JSON.stringify(text)} is not one plain word`);
  return text;
}

export function whole(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new Error(`haproxy.cfg: ${value} is not a whole number`);
  return String(value);
}

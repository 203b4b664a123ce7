/** The words of an error page, which show whether HAProxy, a gateway or the application sent it. */

/** Characters of a page that a message has room for. */
const MOST = 80;

/** `: no healthy upstream`, for the end of a message: the page's beginning without tags; empty for none. */
export function wordsOf(page: string): string {
  const text = page
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .trim();
  return text === "" ? "" : `: ${text.slice(0, MOST)}`;
}

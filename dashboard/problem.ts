/** What a page shows of an error. Details that may hold secrets stay in the terminal. */
import { NoAnswer } from "../clients/kubernetes.ts";

/** What a credential plugin prints may hold a token or a code for the log-on. */
const CREDENTIALS = "the credential plugin of the kubeconfig fails: the terminal of the dashboard shows why";

/**
 * The words for the page.
 * @param limitMs the time that a measurement has
 * @param print receives what the page does not show
 */
export function problemOf(
  error: unknown,
  { limitMs, print }: { readonly limitMs: number; readonly print: (line: string) => void },
): string {
  const { name, message } = error as Error;
  if (name === "TimeoutError") return `the cluster does not answer within ${limitMs / 1000} s`;
  if (!isOfCredentials(error)) return withoutCredentials(message);
  print(message);
  return CREDENTIALS;
}

function isOfCredentials(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (error instanceof NoAnswer && error.kind === "credentials") || isOfCredentials(error.cause);
}

/** A user and a password in an address. */
const withoutCredentials = (text: string) => text.replace(/(\/\/)[^/\s@]+@/g, "$1");

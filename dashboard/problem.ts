/** What a page shows of an error. Details that may hold secrets stay in the terminal. */
import { ApiError, NoAnswer } from "../clients/kubernetes.ts";

/** What a credential plugin prints may hold a token or a code for the log-on. */
const CREDENTIALS = "the credential plugin of the kubeconfig fails: the terminal of the dashboard shows why";

/** A plugin's token is renewed; one that stands in the kubeconfig is read once. */
const LOGGED_OFF =
  "the API server does not accept the credentials of the kubeconfig any more: log on again, " +
  "then start the dashboard again";

const PROXY_ENDED = "the dashboard's kubectl proxy has ended: start the dashboard again";

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
  const causes = causesOf(error);
  if (causes.some((cause) => cause instanceof ApiError && cause.status === 401)) return LOGGED_OFF;
  const failed = causes.find((cause) => cause instanceof NoAnswer);
  if (failed?.kind === "connection" && /\bENOENT\b/.test(failed.message)) return PROXY_ENDED;
  if (failed?.kind !== "credentials") return withoutCredentials(message);
  print(message);
  return CREDENTIALS;
}

/** The error itself, and what it names as its cause. */
function causesOf(error: unknown): readonly Error[] {
  return error instanceof Error ? [error, ...causesOf(error.cause)] : [];
}

/** A user and a password in an address. */
const withoutCredentials = (text: string) => text.replace(/(\/\/)[^/\s@]+@/g, "$1");

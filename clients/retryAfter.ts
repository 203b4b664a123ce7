/** An API server that is busy or restarting says when to ask again: HTTP 429 or 503 with Retry-After. */
import type { IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

/** kubectl tries ten times; a preflight has seconds only. */
const MOST_TRIES = 4;
/** A server that wants a longer pause is reported. */
const LONGEST_MS = 2000;

/** The first answer that wants no pause, or the last one. Such a server has not done what was requested. */
export async function afterPauses(
  send: () => Promise<IncomingMessage>,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  for (let tries = 1; ; tries++) {
    const response = await send();
    const pause = pauseOf(response);
    if (pause === undefined || tries === MOST_TRIES) return response;
    response.resume();
    await delay(pause, undefined, { signal });
  }
}

function pauseOf({ statusCode, headers }: IncomingMessage): number | undefined {
  if (statusCode !== 429 && statusCode !== 503) return undefined;
  const pause = Number(headers["retry-after"] ?? Number.NaN) * 1000;
  return pause <= LONGEST_MS ? pause : undefined;
}

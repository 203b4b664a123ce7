/** Draws the shares of the last requests, again each second. */
import { clearScreenDown, moveCursor } from "node:readline";
import { setInterval } from "node:timers/promises";
import type { Target } from "./client.ts";
import { tally } from "./probe.ts";
import { renderLine, renderReport } from "./render.ts";
import { RequestStream } from "./stream.ts";

export interface LiveOptions extends Target {
  /** Percent by version. Called at each redraw, so that a shift shows. */
  weights: () => Record<string, number>;
  /** How many of the newest requests are counted. */
  window: number;
  /** Requests a second. @default 100 */
  rate?: number;
  /** Where to draw: in place on a terminal, one line a second elsewhere. @default process.stdout */
  stream?: NodeJS.WriteStream;
  /** Milliseconds between two drawings. @default 1000 */
  interval?: number;
  /** Ends it. */
  signal: AbortSignal;
}

/** Runs until the signal; the last picture stays on the screen. */
export async function live(options: LiveOptions): Promise<void> {
  const { stream = process.stdout, interval = 1000, rate = 100, signal } = options;
  const requests = new RequestStream({ ...options, rate, keep: options.window }).start();
  const draw = stream.isTTY ? inPlace(stream) : (text: string) => void stream.write(`${text}\n`);
  try {
    for await (const _ of setInterval(interval, undefined, { signal })) draw(picture());
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await requests.stop();
  }

  function picture(): string {
    const report = tally(requests.answers.slice(-options.window), { ...options, weights: options.weights() });
    return stream.isTTY
      ? `${options.url}  the last ${report.requests} of ${requests.sent} requests, ${rate} a second, ` +
          `Ctrl-C ends\n\n${renderReport(report, { stream, barWidth: barWidth(stream) })}`
      : renderLine(report);
  }
}

/** The width left beside the figures. A line that wraps could not be redrawn. */
function barWidth({ columns = 100 }: NodeJS.WriteStream): number {
  return Math.min(40, Math.max(5, columns - 55));
}

/** Draws each text over the previous one. */
function inPlace(stream: NodeJS.WriteStream): (text: string) => void {
  let lines = 0;
  return (text) => {
    moveCursor(stream, 0, -lines);
    clearScreenDown(stream);
    stream.write(`${text}\n`);
    lines = text.split("\n").length;
  };
}

/** A probe's report for people. Colours follow NO_COLOR, FORCE_COLOR and whether the stream is a terminal. */
import { styleText } from "node:util";
import type { ProbeReport } from "./probe.ts";
import { judge, requestsToShow, type Share, visibleDeviation } from "./verdict.ts";

type Style = Parameters<typeof styleText>[0];

export interface RenderOptions {
  /** Where the text will go, which decides about colours. @default process.stdout */
  stream?: NodeJS.WriteStream;
  /** Width of a bar in characters, each of which is 100 / width percent. @default 40 */
  barWidth?: number;
}

/** A bar for each version, failures by reason, and the verdict in words. No line break at the end. */
export function renderReport(report: ProbeReport, options: RenderOptions = {}): string {
  const verdict = judge(report.served, report.weights, report.failed);
  return [
    ...renderShares(verdict.shares, options),
    ...Object.entries(report.failures).map(([reason, count]) =>
      paint("red", `  ${count} failed: ${reason}`, options),
    ),
    verdict.ok
      ? paint("green", `ok: ${report.requests} requests, split as configured, none failed`, options)
      : paint("red", `not ok: ${whatIsWrong(report, verdict.shares)}`, options),
  ].join("\n");
}

function renderShares(shares: Share[], options: RenderOptions): string[] {
  const nameWidth = Math.max(...shares.map(({ version }) => version.length));
  const countWidth = Math.max(...shares.map(({ count }) => String(count).length));
  return shares.map((share) => {
    const figures = `${String(share.count).padStart(countWidth)}  ${share.percent.toFixed(1).padStart(5)} %`;
    const expected = `of ${share.weight} %, allowed ${range(share)}`;
    const name = share.version.padEnd(nameWidth);
    return `  ${name}  ${bar(share, options)}  ${figures}  ${paint("dim", expected, options)}`;
  });
}

/** Full blocks up to the measured share; the rest of the allowed range is shaded. */
function bar({ count, percent, low, high, ok }: Share, options: RenderOptions): string {
  const width = options.barWidth ?? 40;
  const answered = percent === 0 ? 0 : (100 * count) / percent;
  const filled = Math.round((percent * width) / 100);
  const inBand = (cell: number): boolean =>
    answered > 0 && cell + 1 > (low / answered) * width && cell < (high / answered) * width;
  const rest = Array.from({ length: width - filled }, (_, index) => (inBand(filled + index) ? "▒" : "░"));
  return paint(ok ? "green" : "red", "█".repeat(filled), options) + paint("dim", rest.join(""), options);
}

function whatIsWrong(report: ProbeReport, shares: Share[]): string {
  const wrong = shares
    .filter(({ ok }) => !ok)
    .map((share) => `${share.version} gave ${share.count} answers, ${share.weight} % allow ${range(share)}`);
  if (report.failed > 0) wrong.unshift(`${report.failed} of ${report.requests} requests failed`);
  return wrong.join("; ") || "no request was answered";
}

function range({ low, high }: Share): string {
  return low === high ? String(low) : `${low} to ${high}`;
}

/** The smallest deviation that N answers can show, and the N for half of it. */
export function renderResolution({ served, weights }: Pick<ProbeReport, "served" | "weights">): string {
  const answered = Object.values(served).reduce((sum, count) => sum + count, 0);
  const weight = Object.values(weights).reduce((a, b) => (Math.abs(b - 50) < Math.abs(a - 50) ? b : a), 0);
  if (weight === 0 || weight === 100) return "at 0 % and 100 % a single stray answer shows";
  if (answered === 0) return "no answers, nothing to compare";
  const points = visibleDeviation(answered, weight);
  const half = points / 2;
  return (
    `${answered} answers show a deviation of ${round(points)} points or more; for ${round(half)} points ` +
    `send ${requestsToShow(half, weight)}`
  );
}

/** One line for logs and pipes: shares and failures, no bars. */
export function renderLine(report: ProbeReport): string {
  const shares = judge(report.served, report.weights, report.failed).shares.map(
    ({ version, percent, weight }) => `${version} ${percent.toFixed(1)} % (${weight} %)`,
  );
  return `${shares.join("  ")}  of ${report.requests}, ${report.failed} failed${report.ok ? "" : "  not ok"}`;
}

function round(points: number): string {
  return String(Math.round(points * 10) / 10);
}

function paint(style: Style, text: string, { stream = process.stdout }: RenderOptions): string {
  return styleText(style, text, { stream });
}

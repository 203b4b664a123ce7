/** Reads what `push.sh --look` reports. */
import { REPORT_BEGINS, REPORT_ENDS } from "./push.ts";

export interface Report {
  /** What would make a push fail, and the way out. */
  readonly faults: readonly string[];
  /** What would not make it fail, and the command that helps. */
  readonly warnings: readonly string[];
  /**
   * Edits by hand, sorted, by hash: the file as it is, and the copies that pushes have kept; `gone` for a
   * file that is.
   */
  readonly edits: readonly string[];
  /** HAProxy's version, e.g. `2.6.12`. @default it was not found out */
  readonly version?: string | undefined;
}

/**
 * Reads the lines between the markers; what a login shell prints before them does not count, with an end of
 * line or without, such as the title of a terminal.
 * @throws Error when the report is not whole, or has lines that it cannot have.
 */
export function parseReport(output: string): Report {
  const lines = output.split(/\r?\n/);
  const begin = lines.findIndex((line) => line.endsWith(REPORT_BEGINS));
  if (begin < 0) throw new Error(`it printed ${excerpt(output)} in place of a report`);
  const end = lines.findIndex((line, i) => i > begin && line.startsWith(`${REPORT_ENDS} `));
  if (end < 0) throw new Error("its report ends early");
  const status = (lines[end] ?? "").slice(REPORT_ENDS.length + 1);
  if (status !== "0") throw new Error(`its report ended with status ${status}`);
  const faults: string[] = [];
  const warnings: string[] = [];
  const edits = new Set<string>();
  let version: string | undefined;
  for (const line of lines.slice(begin + 1, end)) {
    const [, key = "", value = ""] = /^(fault|warning|edit|version) (.*)$/.exec(line) ?? [];
    if (key === "fault") faults.push(printable(value));
    else if (key === "warning") warnings.push(printable(value));
    // A hash becomes part of a command.
    else if (key === "edit" && /^([0-9a-f]{12}|gone)$/.test(value)) edits.add(value);
    else if (key === "version" && /^[0-9.]+$|^unknown$/.test(value)) version = value;
    else throw new Error(`its report has the line ${excerpt(line)}`);
  }
  return { faults, warnings, edits: [...edits].sort(), version };
}

/** Text of another machine, for a terminal. */
const printable = (text: string) => text.replace(/\p{Cc}/gu, " ").slice(0, 600);

const excerpt = (text: string) => JSON.stringify(printable(text.trim().split("\n")[0] ?? "").slice(0, 100));

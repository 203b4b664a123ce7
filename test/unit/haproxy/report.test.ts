/** Tests of haproxy/report.ts. */
import { describe, expect, it } from "vitest";
import { REPORT_BEGINS, REPORT_ENDS } from "../../../haproxy/push.ts";
import { parseReport } from "../../../haproxy/report.ts";

const report = (...lines: string[]) => [REPORT_BEGINS, ...lines, `${REPORT_ENDS} 0`, ""].join("\n");

describe("parseReport", () => {
  it("reads faults, warnings, edits (sorted, each once) and the version", () => {
    const text = report(
      "version 2.6.12",
      "fault no flock",
      "warning not started at boot",
      "edit gone",
      "edit 0123456789ab",
      "edit gone",
    );
    expect(parseReport(text)).toEqual({
      faults: ["no flock"],
      warnings: ["not started at boot"],
      edits: ["0123456789ab", "gone"],
      version: "2.6.12",
    });
  });

  it("ignores what a login shell prints around it", () => {
    const text = `Welcome!\r\nfault of the banner\r\n${report("fault a").replaceAll("\n", "\r\n")}bye\n`;
    expect(parseReport(text).faults).toEqual(["a"]);
    expect(parseReport(`\u001b]0;title\u0007${report("fault a")}`).faults).toEqual(["a"]);
  });

  it("takes control characters out of a fault", () => {
    expect(parseReport(report("fault a\u001b[2Jb")).faults).toEqual(["a [2Jb"]);
  });

  it.each([
    ["", 'it printed "" in place of a report'],
    [
      "This account is currently not available.\n",
      'it printed "This account is currently not available." in place',
    ],
    [`${REPORT_BEGINS}\nversion 2.6\n`, "its report ends early"],
    [`${REPORT_BEGINS}\n${REPORT_ENDS} 127\n`, "its report ended with status 127"],
    [report("nonsense"), 'its report has the line "nonsense"'],
    [report("edit $(reboot)"), 'its report has the line "edit $(reboot)"'],
    [report("edit a; b"), 'its report has the line "edit a; b"'],
  ])("refuses what is not a whole report: %j", (text, message) => {
    expect(() => parseReport(text)).toThrow(message);
  });
});

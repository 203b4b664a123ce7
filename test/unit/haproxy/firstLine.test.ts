/** Tests of haproxy/firstLine.ts. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { isIntact, readFirstLine, withFirstLine } from "../../../haproxy/firstLine.ts";

describe("the first line of haproxy.cfg", () => {
  const file = withFirstLine("organization/istio-lab/dev", "global\n");

  it("holds the owner and the hash of the lines below", () => {
    const { stdout } = spawnSync("sh", ["-c", "tail -n +2 | sha256sum | cut -c 1-64"], {
      input: file,
      encoding: "utf8",
    });
    expect(readFirstLine(file)).toEqual({ owner: "organization/istio-lab/dev", hash: stdout.trim() });
    expect(isIntact(file)).toBe(true);
  });

  it("shows an edit by hand", () => {
    expect(isIntact(`${file}# mine\n`)).toBe(false);
  });

  it.each(["global\n", "", "# istio-lab\n", "# istio-lab owner=o sha256=abc\n"])(
    "is not there in a file that is not this project's: %j",
    (text) => {
      expect(readFirstLine(text)).toBeUndefined();
      expect(isIntact(text)).toBe(false);
    },
  );

  it("reads the same in TypeScript and in common.sh", () => {
    const common = new URL("../../../haproxy/common.sh", import.meta.url).pathname;
    const script = `. ${common}; first_line -`;
    const { stdout } = spawnSync("sh", ["-c", script], { input: file, encoding: "utf8" });
    expect(stdout).toBe(`${Object.values(readFirstLine(file) ?? {}).join(" ")}\n`);
  });
});

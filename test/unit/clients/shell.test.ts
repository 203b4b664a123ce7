/** Tests of clients/shell.ts. */
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { quote, sudoComplaint } from "../../../clients/shell.ts";

describe("quote", () => {
  it("makes one word of any text", () => {
    const word = fc.string({ unit: "grapheme-composite" }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (words) => {
        const command = `printf '%s\\0' ${words.map(quote).join(" ")}`;
        expect(execFileSync("sh", ["-c", command], { encoding: "utf8" })).toBe(
          words.map((text) => `${text}\0`).join(""),
        );
      }),
      { numRuns: 50 },
    );
  });
});

describe("sudoComplaint", () => {
  it.each([
    ["debian", "debian"],
    ["first.last", "first.last"],
    ["DOMAIN\\user", "DOMAIN\\\\user"],
    ["user@ad.example.org", "user\\@ad.example.org"],
  ])("writes %s into sudoers as %s", (user, inSudoers) => {
    expect(said(sudoComplaint({ user, host: "lb" }))).toContain(`put "${inSudoers} ALL=(ALL) NOPASSWD: ALL"`);
  });

  it("names this machine's user where the command runs", () => {
    const name = execFileSync("id", ["-un"], { encoding: "utf8" }).trim();
    expect(said(sudoComplaint({ local: true, user: "", host: "" }))).toBe(
      `${name} may not run sudo without a password on this machine: put "${name} ALL=(ALL) NOPASSWD: ALL" into /etc/sudoers.d/istio-lab, or run pulumi as root\n`,
    );
  });

  const said = (word: string) => execFileSync("sh", ["-c", `printf '%s\\n' ${word}`], { encoding: "utf8" });
});

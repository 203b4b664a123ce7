/** Tests of clients/shell.ts. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { type Account, becomeRoot, quote } from "../../../clients/shell.ts";

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

describe("becomeRoot", () => {
  const bin = mkdtempSync(join(tmpdir(), "istio-lab-shell-"));
  afterAll(() => rmSync(bin, { recursive: true }));

  /** What the lines find out for a user whose sudo does this; undefined: there is none. */
  function refusalOf(account: Account, sudo?: string): string {
    rmSync(join(bin, "sudo"), { force: true });
    const tools = { id: "case $1 in -u) echo 1000;; *) echo debian;; esac", tr: 'exec /usr/bin/tr "$@"' };
    for (const [name, body] of Object.entries({ ...tools, ...(sudo !== undefined && { sudo }) }))
      writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    const script = `${becomeRoot(account)}printf '%s|%s' "$root" "$refusal"`;
    return execFileSync("/bin/sh", ["-c", script], { encoding: "utf8", env: { PATH: bin } });
  }
  const refuse = (words: string) => `echo ${quote(words)} >&2; exit 1`;
  const lb = { user: "debian", host: "lb" };

  it("is silent where sudo lets the user in, whatever sudo prints besides", () => {
    expect(refusalOf(lb, "echo 'sudo: unable to resolve host lb' >&2")).toBe("sudo -n -u root|");
  });

  it.each([
    ["debian", "debian"],
    ["first.last", "first.last"],
    ["DOMAIN\\user", "DOMAIN\\\\user"],
    ["user@ad.example.org", "user\\@ad.example.org"],
  ])("writes %s into sudoers as %s", (user, inSudoers) => {
    expect(refusalOf({ user, host: "lb" }, refuse("sudo: a password is required"))).toBe(
      `sudo -n -u root|${user} may not run sudo without a password on lb: put "${inSudoers} ALL=(ALL) NOPASSWD: ALL" into /etc/sudoers.d/istio-lab there`,
    );
  });

  it("names this machine's user where the command runs", () => {
    expect(refusalOf({ local: true, user: "", host: "" }, refuse("sudo: a password is required"))).toBe(
      'sudo -n -u root|debian may not run sudo without a password on this machine: put "debian ALL=(ALL) NOPASSWD: ALL" into /etc/sudoers.d/istio-lab, or run pulumi as root',
    );
  });

  it("says what else keeps sudo: a terminal that it wants, sudo that is missing, its own words", () => {
    expect(refusalOf(lb, refuse("sudo: sorry, you must have a tty to run sudo"))).toBe(
      'sudo -n -u root|debian may not run sudo without a terminal on lb: put "Defaults:debian !requiretty" and "debian ALL=(ALL) NOPASSWD: ALL" into /etc/sudoers.d/istio-lab there',
    );
    expect(refusalOf(lb, refuse("env: 'true': Permission denied"))).toContain(
      'put "Defaults:debian !noexec" and "debian ALL=(ALL) NOPASSWD: ALL" into',
    );
    expect(refusalOf(lb)).toContain("debian is not root, and there is no sudo on lb: install it, and put ");
    expect(refusalOf(lb, refuse("sudo: Account expired\nor so"))).toMatch(
      / there \(sudo prints: sudo: Account expired or so\)$/,
    );
  });
});

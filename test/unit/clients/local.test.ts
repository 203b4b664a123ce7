/** Tests of clients/local.ts. */
import { describe, expect, it } from "vitest";
import { runHere } from "../../../clients/local.ts";

describe("runHere", () => {
  it("hands the input on, and returns both outputs and the exit status", async () => {
    expect(await runHere("cat; echo no >&2; exit 3", { input: "in\n" })).toMatchObject({
      stdout: "in\n",
      stderr: "no\n",
      exitCode: 3,
    });
  });

  it("takes a command that does not read its input", async () => {
    expect(await runHere("exit 0", { input: "x".repeat(1_000_000) })).toMatchObject({ exitCode: 0 });
  });

  it("ends the command at the signal", async () => {
    const result = await runHere("exec sleep 600", { signal: AbortSignal.timeout(50) });
    expect(result).toMatchObject({ exitCode: undefined, signal: "SIGTERM" });
  });
});

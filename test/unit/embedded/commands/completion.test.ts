/** Tests of embedded/commands/completion.ts. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const PROGRAM = join(import.meta.dirname, "../../../..");

/**
 * What bash offers for a line at whose end Tab was pressed, wherever it is. One function of the package
 * bash-completion is ours.
 */
function offered(line: string): string[] {
  const words = line.split(" ");
  const script = `
    _get_comp_words_by_ref() { cur=\${COMP_WORDS[COMP_CWORD]} words=("\${COMP_WORDS[@]}"); }
    . <(${PROGRAM}/lab completion bash)
    COMP_LINE='${line}' COMP_POINT=${line.length} COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}) COMP_CWORD=${words.length - 1}
    $(complete -p lab | sed 's/.*-F \\(\\S*\\).*/\\1/')
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script], { cwd: "/", encoding: "utf8" });
  return stdout === "" ? [stderr] : stdout.trim().split("\n");
}

test.each([
  ["./lab s", ["shift", "status", "ssh"]],
  ["./lab up --n", ["--no-program", "--no-monitoring", "--name"]],
  ["./lab shift --j", ["--json"]],
])("bash completes %j", (line, words) => {
  expect(offered(line)).toEqual(words);
});

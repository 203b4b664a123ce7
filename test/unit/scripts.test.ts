/** Every script that runs on another machine or beside the program: syntax, shellcheck, modes. */
import { execFileSync, spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const scripts = globSync(["haproxy/*.sh", "components/*/*.sh"], { cwd: root }).sort();
const has = (tool: string) => spawnSync("sh", ["-c", `command -v ${tool}`]).status === 0;

describe("the scripts", () => {
  it.each(scripts)("%s is a shell script without syntax errors", (script) => {
    execFileSync("sh", ["-n", script], { cwd: root });
  });

  /** The scripts of haproxy/ travel as one text each. */
  const texts = [
    ["common", "ask", "unit", "checks", "push"].map((name) => `haproxy/${name}.sh`),
    ["common", "ask", "unit", "restore"].map((name) => `haproxy/${name}.sh`),
    ...scripts.filter((name) => !name.startsWith("haproxy/")).map((name) => [name]),
  ];
  it.for(texts)("are clean under shellcheck: %s", (parts, { skip }) => {
    skip(!has("shellcheck"), "no shellcheck on PATH");
    const input = parts.map((name) => readFileSync(`${root}/${name}`, "utf8")).join("");
    const directory = parts[0]?.replace(/\/[^/]*$/, "");
    expect(
      spawnSync("shellcheck", ["-x", "-"], { cwd: `${root}/${directory}`, encoding: "utf8", input }),
    ).toMatchObject({ status: 0, stdout: "" });
  });
});

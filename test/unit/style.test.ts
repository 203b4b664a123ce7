/** The form of every file that git tracks: a first sentence, short files, short lines, plain words. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url);
const MOST_LINES = 300;
const WIDTH = 110;

/** Written by tools, pinned by tools, or compared byte by byte. */
const DATA = /^(package-lock|Pulumi)|\.(png|sum|mod|txt|conf)$|^test\/golden\/|previousState\.json$/;

/** Words for persons, which a process, an object or a value is not; and idioms that say nothing exact. */
const WORDS = [
  ...["somebody", "anybody", "nobody", "strangers?", "whoever", "whosoever", "told", "tells?", "asked"],
  ...["heard", "of before", "comes? to terms", "for the sake of", "likewise", "puts? (it|them|things) right"],
];
/** The user of that name is meant where it stands in quotes or in a file of users. */
const FORBIDDEN = new RegExp(`(?<!["\`:./$-])\\b(${anyCase(WORDS).join("|")})\\b(?!["\`:=(/-])`);

/** Text that no line break can divide: an address, a regular expression, a JSONPath, a type of a module. */
const WHOLE =
  /https?:\/\/|^\s*(new RegExp\(\s*)?\/.*\/[a-z]*[,;)]|jsonpath|typeof import\(|expect.*\(\/.*\/\)/;

// In a copy without git's directory there is nothing to list, and nothing is checked.
const listed = spawnSync("git", ["-c", "safe.directory=*", "ls-files"], { cwd: ROOT, encoding: "utf8" });
const tracked = listed.status === 0;
const paths = (tracked ? listed.stdout : "").split("\n").filter((path) => path !== "" && !DATA.test(path));
const files = paths.map((path) => ({ path, lines: readFileSync(new URL(path, ROOT), "utf8").split("\n") }));
const isText = (path: string) => extname(path) === ".md";
const sources = files.filter(({ path }) => !isText(path) && !/\.(json|yaml|cfg)$|^\.|^\.ci/.test(path));

/** Words as they stand in a sentence or at its beginning. */
function anyCase(words: readonly string[]): string[] {
  return words.map((word) => `[${word.charAt(0)}${word.charAt(0).toUpperCase()}]${word.slice(1)}`);
}

/** Places as `path:line: text`. */
function places(some: typeof files, isWrong: (line: string, path: string) => boolean): string[] {
  return some.flatMap(({ path, lines }) =>
    lines.flatMap((line, index) => (isWrong(line, path) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

describe.skipIf(!tracked)("every source, test and script", () => {
  test("begins with a sentence that says what it is for", () => {
    // The comment of a Go package stands in one of its files.
    const others = sources.filter(({ path }) => extname(path) !== ".go");
    const without = others.filter(({ lines: [first = "", second = ""] }) => {
      const head = /^(#!|<!doctype)/i.test(first) ? second : first;
      return !/^\s*(\/\*\*?|\/\/|#|<!--)( \S|$)/.test(head);
    });
    expect(without.map(({ path }) => path)).toEqual([]);
  });

  test(`has at most ${MOST_LINES} lines`, () => {
    const long = sources.filter(({ lines }) => lines.length - 1 > MOST_LINES);
    expect(long.map(({ path, lines }) => `${path}: ${lines.length - 1}`)).toEqual([]);
  });

  test(`ends its lines at ${WIDTH} columns; in tests, its comments`, () => {
    const others = sources.filter(({ path }) => extname(path) !== ".go");
    const counts = (line: string, path: string) =>
      !path.startsWith("test/") || /^\s*(\/\*\*|\* |\/\/)/.test(line);
    const isLong = (line: string, path: string) =>
      line.length > WIDTH && counts(line, path) && !WHOLE.test(line);
    expect(places(others, isLong)).toEqual([]);
  });
});

test.skipIf(!tracked)("every file speaks of processes and data in plain words", () => {
  const others = files.filter(({ path }) => path !== "test/unit/style.test.ts");
  expect(places(others, (line) => FORBIDDEN.test(line))).toEqual([]);
});

/** The folders of the sources: no circles of imports, and only the arrows of docs/architecture.md. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url).pathname;
const SKIPPED = ["node_modules/**", "test/**", "vitest.config.ts"];

/** An import of a file by another one; an import of types counts too. */
interface Arrow {
  readonly from: string;
  readonly to: string;
}

const files = globSync("**/*.ts", { cwd: ROOT, exclude: SKIPPED });
const arrows: Arrow[] = files.flatMap((from) =>
  [...readFileSync(join(ROOT, from), "utf8").matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g)].map(
    ([, path = ""]) => ({ from, to: normalize(join(dirname(from), path)) }),
  ),
);

test("no folders use each other in a circle", () => {
  const uses = new Map<string, Arrow[]>();
  for (const arrow of arrows) {
    const folder = dirname(arrow.from);
    if (folder !== dirname(arrow.to)) uses.set(folder, [...(uses.get(folder) ?? []), arrow]);
  }
  // The root's files are rooms of their own.
  uses.delete(".");
  const done = new Set<string>();
  const circle = (folder: string, way: readonly Arrow[]): readonly Arrow[] | undefined => {
    const again = way.findIndex(({ from }) => dirname(from) === folder);
    if (again >= 0) return way.slice(again);
    if (done.has(folder)) return undefined;
    for (const arrow of uses.get(folder) ?? []) {
      const found = circle(dirname(arrow.to), [...way, arrow]);
      if (found) return found;
    }
    done.add(folder);
    return undefined;
  };
  const found = [...uses.keys()].map((folder) => circle(folder, [])).find((way) => way !== undefined);
  expect(found?.map(({ from, to }) => `${from} uses ${to}`)).toBeUndefined();
});

/** Room, a file or a folder, to what it may use: files or folders. */
function roomsOf(markdown: string): Map<string, readonly string[]> {
  const code = (cell = "") => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
  const rows = markdown.split("\n").filter((line) => /^\| `/.test(line));
  return new Map(
    rows.flatMap((row) => {
      const [, rooms, , mayUse] = row.split(/(?<!\\)\|/);
      return code(rooms).map((room) => [room, code(mayUse)] as const);
    }),
  );
}

test("a room uses only what docs/architecture.md allows it", () => {
  const text = readFileSync(join(ROOT, "docs/architecture.md"), "utf8");
  const table = text.slice(text.indexOf("## Rooms"), text.indexOf("## A setting"));
  const rooms = roomsOf(table);
  for (const room of rooms.keys()) expect(existsSync(join(ROOT, room)), room).toBe(true);
  const within = (file: string, place: string) => file === place || file.startsWith(`${place}/`);
  const roomOf = (file: string) =>
    [...rooms.keys()].filter((room) => within(file, room)).sort((a, b) => b.length - a.length)[0];
  const wrong = arrows.filter(({ from, to }) => {
    const room = roomOf(from);
    if (room === undefined) return basename(from) === from;
    // A storey may use what its house may use.
    const allowed = [room, dirname(room)].flatMap((each) => rooms.get(each) ?? []);
    return !within(to, room) && !allowed.some((place) => within(to, place));
  });
  expect(wrong.map(({ from, to }) => `${from} uses ${to}`)).toEqual([]);
});

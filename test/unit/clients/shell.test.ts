/** Words for shells. */
import { expect, it } from "vitest";
import { sudoComplaint } from "../../../clients/shell.ts";

it.each([
  ["debian", "debian"],
  ["first.last", "first.last"],
  ["DOMAIN\\user", "DOMAIN\\\\user"],
  ["user@ad.example.org", "user\\@ad.example.org"],
])("sudoers knows %s as %s", (user, inSudoers) => {
  expect(sudoComplaint({ user, host: "lb" })).toContain(`put "${inSudoers} ALL=(ALL) NOPASSWD: ALL"`);
});

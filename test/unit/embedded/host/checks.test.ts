/** Tests of embedded/host/checks.ts. */
import { expect, test } from "vitest";
import { LabError } from "../../../../clients/process.ts";
import { requireAll } from "../../../../embedded/host/checks.ts";

const refuse = (error: Error) => () => Promise.reject(error);
const pass = () => Promise.resolve();

test("a host with no fault passes", () => requireAll([pass, pass]));

test("all faults are in one error", async () => {
  const checks = [refuse(new LabError("no room")), pass, refuse(new LabError("no address"))];
  await expect(requireAll(checks)).rejects.toThrow(new LabError("no room\nlab: no address"));
});

test("a single fault keeps its exit code", async () => {
  await expect(requireAll([pass, refuse(new LabError("no room", 2))])).rejects.toMatchObject({ exitCode: 2 });
});

test("an error that is no fault of the host is thrown as it is", async () => {
  const checks = [refuse(new LabError("no room")), refuse(new TypeError("a mistake of ours"))];
  await expect(requireAll(checks)).rejects.toThrow(TypeError);
});

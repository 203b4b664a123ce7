/** Tests of components/haproxyEdge/machine.ts. */
import { expect, it } from "vitest";
import { nameOf, runnerFor } from "../../../../components/haproxyEdge/machine.ts";

const HERE = {
  ...{ local: true, host: "127.0.0.1", port: 22, user: "", privateKey: "" },
  configFile: "/etc/haproxy/haproxy.cfg",
};

it("runs a command on this machine, without SSH", async () => {
  const signal = AbortSignal.timeout(20_000);
  expect(await runnerFor(HERE)("cat; exit 3", { input: "in", signal })).toMatchObject({
    stdout: "in",
    exitCode: 3,
  });
});

it("calls a machine by its user and address, and this one so", () => {
  expect(nameOf({ ...HERE, local: false, user: "lab", host: "lb" })).toBe("load balancer lab@lb:22");
  expect(nameOf(HERE)).toBe("load balancer on this machine");
});

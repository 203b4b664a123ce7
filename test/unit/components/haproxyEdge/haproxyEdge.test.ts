/** Tests of components/haproxyEdge/haproxyEdge.ts. */
import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it } from "vitest";
import { parseHostKey } from "../../../../clients/hostKey.ts";
import { HaproxyEdge } from "../../../../components/haproxyEdge/haproxyEdge.ts";
import { find, HOST_KEY, PRIVATE_KEY, settled, startMocks } from "../../../support/mocks.ts";

afterEach(() => pulumi.runtime.disconnect());

describe("HaproxyEdge", () => {
  const machine = {
    host: "10.0.0.1",
    port: 2222,
    user: "debian",
    hostKey: parseHostKey(HOST_KEY),
    configFile: "/etc/haproxy/haproxy.cfg",
  };
  const args = {
    owner: "organization/istio-lab/dev",
    nodes: [{ name: "node02", address: "10.0.0.2" }],
    nodePorts: { http2: 30934, statusPort: 30580 },
    machine,
    privateKey: PRIVATE_KEY,
  };

  it("pushes the rendered file behind its scripts, over a connection that gives up within 30 s", async () => {
    const resources = await startMocks();
    const edge = new HaproxyEdge("edge", args);
    const config = await settled(edge.config);
    await pulumi.runtime.disconnect();
    const { inputs } = find(resources, "edge", "Command");
    const { dialErrorLimit, perDialTimeout, ...where } = inputs.connection;
    expect(where).toEqual({
      host: "10.0.0.1",
      port: 2222,
      user: "debian",
      hostKey: HOST_KEY,
      privateKey: PRIVATE_KEY,
    });
    expect((dialErrorLimit + 1) * perDialTimeout).toBeLessThan(30);
    expect(inputs.stdin.endsWith(`main "$@"\n${config}`)).toBe(true);
    expect(inputs.addPreviousOutputInEnv).toBe(false);
    expect(inputs.create).toMatch(/^sh -c '[^']+' push\.sh$/);
    expect(inputs.update).toBe(inputs.create);
  });

  it("can undo a push before it is made", async () => {
    const resources = await startMocks();
    await settled(new HaproxyEdge("edge", args).config);
    await pulumi.runtime.disconnect();
    const [push, undo] = [find(resources, "edge", "Command"), find(resources, "edge-undo", "Command")];
    expect(resources.indexOf(undo)).toBeLessThan(resources.indexOf(push));
    expect(push.inputs.delete).toBeUndefined();
    expect(undo.inputs.delete).toContain("restore.sh");
    expect(undo.inputs.stdin).toContain("\n# Undoes push.sh: ");
  });

  it("does the same on this machine, without SSH", async () => {
    const resources = await startMocks();
    const here = { ...machine, local: true, host: "127.0.0.1", user: "", hostKey: undefined };
    const config = await settled(new HaproxyEdge("edge", { ...args, machine: here, privateKey: "" }).config);
    await pulumi.runtime.disconnect();
    const commands = resources.filter(({ type }) => type.startsWith("command:"));
    expect(commands.map(({ name, type }) => [name, type])).toEqual([
      ["edge-undo", "command:local:Command"],
      ["edge", "command:local:Command"],
    ]);
    const [undo, push] = commands.map(({ inputs }) => inputs);
    expect(push.stdin.endsWith(`main "$@"\n${config}`)).toBe(true);
    expect(push.create).toMatch(/^sh -c '[^']+' push\.sh$/);
    expect(undo.delete).toContain("restore.sh");
    expect(push.connection).toBeUndefined();
  });

  it("renders a file beside others, on the ports that are set", async () => {
    await startMocks();
    const beside = { ...machine, mode: "include" as const, ports: { http: 8080, https: 8443 } };
    const config = await settled(new HaproxyEdge("edge", { ...args, machine: beside }).config);
    await pulumi.runtime.disconnect();
    expect(config).toMatch(/^frontend istio-lab-dev-http from istio-lab-dev\n {4}bind \*:8080$/m);
  });

  it("is the same for the same nodes", async () => {
    const wires: string[] = [];
    for (const _ of [1, 2]) {
      const resources = await startMocks();
      new HaproxyEdge("edge", args);
      await pulumi.runtime.disconnect();
      wires.push(find(resources, "edge", "Command").wire);
    }
    expect(wires[0]).toBe(wires[1]);
  });
});

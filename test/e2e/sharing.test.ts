// A cluster that others use too.

import { afterAll, beforeAll, describe, expect, onTestFinished } from "vitest";
import { TestLab } from "./harness.ts";
import { trial } from "./trial.ts";

const lab = new TestLab("share-test");

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await lab.run("up");
});
afterAll(() => lab.run("down", "--fast", "--quiet"));

describe("what belongs to somebody else", () => {
  trial("in the place of an object of the stack stops preview and update, and is named", async () => {
    await lab.run("kubectl", "create", "namespace", "shop");
    await lab.run("kubectl", "create", "service", "clusterip", "nginx-svc", "--tcp=80", "--namespace=shop");
    await lab.set({ namespace: "shop" });
    onTestFinished(async () => {
      await lab.run("pulumi", "config", "rm", "namespace");
    });
    const { exitCode, stdout, stderr } = await lab.try("pulumi", "preview");
    expect(exitCode).not.toBe(0);
    expect(stdout + stderr).toMatch(/Service nginx-svc in namespace shop exists already .*kubectl-create/);
  });

  trial("keeps Istio at destroy, is named, and the app goes", async () => {
    await lab.create({
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name: "theirs", namespace: "shop" },
      spec: { hosts: ["shop"], http: [{ route: [{ destination: { host: "shop" } }] }] },
    });
    const { exitCode, stdout, stderr } = await lab.try("pulumi", "destroy", "--yes", "--skip-preview");
    expect(exitCode, stderr).toBe(0);
    expect(stdout + stderr).toContain("VirtualService shop/theirs");
    expect(
      (await lab.list("virtualservices", "--all-namespaces")).map(({ metadata }) => metadata.name),
    ).toEqual(["theirs"]);
    const istio = await lab.list("deployments", "--namespace=istio-system");
    expect(istio.map(({ metadata }) => metadata.name)).toContain("istiod");
    expect(await lab.list("deployments", "--namespace=default")).toEqual([]);
  });
});

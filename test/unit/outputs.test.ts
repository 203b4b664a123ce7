/** Tests of outputs.ts. */
import { describe, expect, expectTypeOf, it } from "vitest";
import { type Outputs, pageAt, readOutputs } from "../../outputs.ts";

const outputs: Outputs = {
  url: "http://nginx.hung.org.hk/echo/test.txt",
  host: "nginx.hung.org.hk",
  namespace: "shop",
  weights: { v116: 50, v117: 50 },
  pages: { v116: "v1.16.1\n" },
  nodePorts: { http2: 30934, statusPort: 30580 },
  nodes: [],
  configFile: "/etc/haproxy/lab.cfg",
  monitoring: undefined,
  tracing: undefined,
  versionLabels: { v116: "1.16", v117: "1.17" },
  configHash: "0a",
  clusterIdentity: { id: "0b7c1e2f", server: "https://10.0.0.1:6443", context: "prod" },
};

it("the type holds values, not outputs of the engine", () => {
  expectTypeOf<Outputs["weights"]>().toEqualTypeOf<Readonly<Record<string, number>>>();
  expectTypeOf<Outputs["configHash"]>().toEqualTypeOf<string>();
  expectTypeOf<Outputs["namespace"]>().toEqualTypeOf<string>();
});

describe("readOutputs", () => {
  it("are those of the program", () => {
    expect(readOutputs({ ...outputs })).toEqual(outputs);
  });

  it("a stack that is not up has none", () => {
    expect(readOutputs({})).toBeUndefined();
  });

  it("an output that an earlier version did not have has the value that it then had for all", () => {
    const { namespace: _, configFile: __, ...previous } = outputs;
    expect(readOutputs(previous)).toMatchObject({
      namespace: "default",
      configFile: "/etc/haproxy/haproxy.cfg",
    });
  });
});

describe("pageAt", () => {
  it.each([
    [outputs.url, "10.210.7.20", "http://10.210.7.20/echo/test.txt"],
    ["https://nginx.hung.org.hk/echo/test.txt", "fd00::20", "https://[fd00::20]/echo/test.txt"],
  ])("%s at %s", (url, address, expected) => {
    expect(pageAt(address, { ...outputs, url })).toEqual({
      url: expected,
      host: "nginx.hung.org.hk",
      pages: outputs.pages,
      weights: outputs.weights,
    });
  });

  it("replaces the host in the host's place alone", () => {
    const page = pageAt("10.0.0.1", { ...outputs, url: "http://http/echo", host: "http" });
    expect(page.url).toBe("http://10.0.0.1/echo");
  });
});

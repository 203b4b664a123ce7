/** Tests of components/haproxyEdge/reach.ts. */
import { describe, expect, it } from "vitest";
import { findingsOf, type Reached } from "../../../../components/haproxyEdge/reach.ts";

const MACHINE = { user: "lab", host: "10.0.0.20", port: 22 };
const NODES = [
  { name: "a", address: "10.0.0.1" },
  { name: "b", address: "10.0.0.2" },
];
const findings = (results: Reached[], nodePort?: number) => findingsOf(MACHINE, NODES, results, nodePort);
const none = (list: string) => [
  {
    key: "nodes",
    message: expect.stringMatching(
      new RegExp(
        `^load balancer lab@10.0.0.20:22 reaches none of the nodes \\(${list}\\): let its requests pass`,
      ),
    ),
  },
];

describe("before there is a NodePort", () => {
  it("any answer counts as reached", () => {
    expect(findings([{ kubelet: "open" }, { kubelet: "refused" }])).toEqual({ faults: [] });
  });

  it("silence may be a firewall that passes NodePorts alone: a warning", () => {
    const { faults, warnings } = findings([{ kubelet: "silent" }, { kubelet: "silent" }]);
    expect(faults).toEqual([]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /does not reach, on port 10250, a \(10\.0\.0\.1\): no answer within 3 s, b \(10\.0\.0\.2\): no answer within 3 s; HAProxy leaves/,
      ),
    ]);
  });

  it("no route to any node is a fault", () => {
    const { faults } = findings([{ kubelet: "No route to host" }, { kubelet: "unknown" }]);
    expect(faults).toEqual(
      none("a .10.0.0.1.: No route to host, b .10.0.0.2.: the name has no address there"),
    );
  });
});

describe("with a NodePort", () => {
  it("no fault where it is open on each node", () => {
    const open = { kubelet: "silent", nodePort: "open" };
    expect(findings([open, open], 30934)).toEqual({ faults: [] });
  });

  it("a node without it is a warning, refused ones too", () => {
    const { faults, warnings } = findings(
      [
        { kubelet: "open", nodePort: "open" },
        { kubelet: "open", nodePort: "refused" },
      ],
      30934,
    );
    expect(faults).toEqual([]);
    expect(warnings).toEqual([
      expect.stringMatching(/on NodePort 30934, b \(10\.0\.0\.2\): connection refused;/),
    ]);
  });

  it("no node that answers on any port is a fault", () => {
    const silent = { kubelet: "silent", nodePort: "silent" };
    expect(findings([silent, silent], 30934).faults).toEqual(
      none("a .10.0.0.1.: no answer within 3 s, b .10.0.0.2.: no answer within 3 s"),
    );
  });

  it("a firewall in front of all NodePorts is a warning; pods that ended unnoticed would look the same", () => {
    const silent = { kubelet: "open", nodePort: "silent" };
    expect(findings([silent, silent], 30934)).toMatchObject({ faults: [], warnings: [expect.any(String)] });
  });

  it("where every node refuses, the gateway has no pod, or these are no nodes: a warning", () => {
    const refused = { kubelet: "open", nodePort: "refused" };
    const { faults, warnings } = findings([refused, refused], 30934);
    expect(faults).toEqual([]);
    expect(warnings).toEqual([
      expect.stringMatching(/every node refuses connections on NodePort 30934: either no pod/),
    ]);
  });
});

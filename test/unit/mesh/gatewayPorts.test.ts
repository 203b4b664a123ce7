/** Tests of mesh/gatewayPorts.ts. */
import { expect, it } from "vitest";
import { nodePortOf, portFault } from "../../../mesh/gatewayPorts.ts";

const CHART = [
  { name: "status-port", port: 15021, nodePort: 30580 },
  { name: "http2", port: 80, nodePort: 30934 },
];

it("finds a port by its name in Istio's charts, whatever its number", () => {
  expect(nodePortOf([{ name: "http2", port: 8080, nodePort: 1 }, ...CHART.slice(0, 1)], "http2")).toBe(1);
  expect(nodePortOf(CHART, "https")).toBeUndefined();
});

it("finds a port by its number where the Service has other names, or none", () => {
  const ports = [
    { port: 80, nodePort: 1 },
    { name: "tls", port: 443, nodePort: 2 },
  ];
  expect([nodePortOf(ports, "http2"), nodePortOf(ports, "https")]).toEqual([1, 2]);
});

it("has a fault where a port is missing, or has no NodePort", () => {
  expect(portFault(CHART, "http2", "a/b")).toBeUndefined();
  for (const ports of [undefined, [], [{ name: "http2", port: 80 }]])
    expect(portFault(ports, "http2", "a/b")).toMatch(
      /^Service a\/b has no NodePort for port 80 \(http2\): its type/,
    );
});

/** Runs the whole program of index.ts on mocks: what it registers, and its outputs. */
import * as pulumi from "@pulumi/pulumi";
import { vi } from "vitest";
import { GATEWAY_PORTS, type Registered, settled, startMocks } from "./mocks.ts";

/** The cluster that the program finds. */
export interface Found {
  /** True: a preview, in which nothing new has an id. @default false */
  readonly preview?: boolean;
  /** Subsets that receive requests already. @default both of the article's */
  readonly routed?: readonly { readonly name: string; readonly version: string }[];
  /** Ports of the gateway's Service. @default the article's */
  readonly gatewayPorts?: typeof GATEWAY_PORTS;
  /** The provider's arguments. @default the kubeconfig that is found without a setting */
  readonly kubeconfig?: string;
}

const ROUTED = [
  { name: "v117", version: "1.17" },
  { name: "v116", version: "1.16" },
];

/** A Deployment without a rollout. */
const ROLLED_OUT = {
  metadata: {},
  status: { conditions: [{ type: "Progressing", status: "True", reason: "NewReplicaSetAvailable" }] },
};

export interface Program {
  readonly resources: readonly Registered[];
  readonly outputs: Readonly<Record<string, unknown>>;
  /** The pages whose first answer the update waits for. */
  readonly awaited: readonly unknown[];
}

/** @param config settings besides those without a default */
export async function runProgram(
  config: Record<string, unknown> = {},
  { preview = false, routed = ROUTED, gatewayPorts = GATEWAY_PORTS, kubeconfig = "" }: Found = {},
): Promise<Program> {
  vi.resetModules();
  vi.doMock("../../clients/kubernetes.ts", () => ({
    KubernetesApi: {
      connect: async () => ({
        get: async (path: string) =>
          path.includes("/deployments/") ? ROLLED_OUT : { spec: { ports: gatewayPorts } },
        close: async () => {},
      }),
    },
  }));
  const awaitPage = vi.fn();
  vi.doMock("../../components/haproxyEdge/firstAnswer.ts", () => ({ awaitPage }));
  vi.doMock("../../preflight/preflight.ts", () => ({
    preflight: async () => ({
      id: "0b7c1e2f",
      kubeconfig,
      routed,
      nodes: [
        { name: "rancher-node02", address: "10.0.0.2" },
        { name: "rancher-node03", address: "10.0.0.3" },
      ],
    }),
  }));
  const resources = await startMocks(config, { preview });
  try {
    const exported: Record<string, unknown> = await import("../../index.ts");
    const outputs = Object.fromEntries(
      await Promise.all(
        Object.entries(exported).map(async ([name, output]) => [name, await settled(output)] as const),
      ),
    );
    return { resources, outputs, awaited: awaitPage.mock.calls.map(([page]) => page) };
  } finally {
    await pulumi.runtime.disconnect();
  }
}

/** The wire's value with secrets unwrapped. */
export function withoutSecrets(wire: string): string {
  return JSON.stringify(
    JSON.parse(wire, (_, value) =>
      value?.["4dabf18193072939515e22adb298388d"] === "1b47061264138c4ac30d75fd1eb44270" ? "[secret]" : value,
    ),
  );
}

import * as pulumi from "@pulumi/pulumi";

/** A resource as the program registered it. */
export interface Registered {
  type: string;
  name: string;
  urn: string;
  // biome-ignore lint/suspicious/noExplicitAny: inputs of any resource
  inputs: any;
}

/** An unencrypted key of the right form, made for nothing. */
export const PRIVATE_KEY = [
  "-----BEGIN OPENSSH PRIVATE KEY-----",
  Buffer.from("openssh-key-v1\0\0\0\0\u0004none and so on, long enough").toString("base64"),
  "-----END OPENSSH PRIVATE KEY-----",
  "",
].join("\n");

/** A public host key of the right form. */
export const HOST_KEY = `ssh-ed25519 ${hostKeyBody("ssh-ed25519")}`;

/** The least that a stack has to set. */
export const LEAST = {
  loadBalancer: { host: "10.0.0.1", user: "debian", hostKey: HOST_KEY },
  loadBalancerPrivateKey: PRIVATE_KEY,
};

/** Starts a fresh Pulumi runtime on mocks; returns the list that registered resources are appended to. */
export async function startMocks(config: Record<string, unknown> = {}): Promise<Registered[]> {
  const resources: Registered[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs, id }) => {
        const urn = `${type}::${name}`;
        resources.push({ type, name, urn, inputs });
        return {
          id: id || `${name}-id`,
          state: type === "kubernetes:core/v1:Service" && id ? GATEWAY : inputs,
        };
      },
      call: ({ inputs }) => inputs,
    },
    "istio-lab",
    "test",
    false,
    "organization",
  );
  const entries = Object.entries({ ...LEAST, ...config }).filter(([, value]) => value !== undefined);
  pulumi.runtime.setAllConfig(
    Object.fromEntries(
      entries.map(([key, value]) => [
        `istio-lab:${key}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
  );
  return resources;
}

/** What an output holds; rejects when it has none. */
export async function settled<T>(output: pulumi.Input<T>): Promise<T> {
  return (pulumi.output(output) as unknown as { promise(): Promise<T> }).promise();
}

const GATEWAY = {
  spec: {
    ports: [
      { name: "status-port", port: 15021, nodePort: 30580 },
      { name: "http2", port: 80, nodePort: 30934 },
      { name: "https", port: 443, nodePort: 30895 },
    ],
  },
};

function hostKeyBody(type: string): string {
  const field = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  return Buffer.concat([field(Buffer.from(type)), field(Buffer.alloc(32, 7))]).toString("base64");
}

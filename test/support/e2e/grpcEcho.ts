/** A gRPC service that answers with the request's bytes, and its client. */
import { Client, credentials, Server, ServerCredentials, type ServiceError } from "@grpc/grpc-js";

const METHOD = "/istiolab.Echo/Say";
const same = (bytes: Buffer) => bytes;

export interface GrpcEcho {
  readonly port: number;
  stop(): void;
}

/** Listens on loopback, without TLS. */
export async function startGrpcEcho(): Promise<GrpcEcho> {
  const server = new Server();
  const say = {
    path: METHOD,
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  server.addService(
    { say },
    { say: (call: { request: Buffer }, answer: Answer) => answer(null, call.request) },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return { port, stop: () => server.forceShutdown() };
}

type Answer = (error: null, bytes: Buffer) => void;

/** One call over a connection of its own. @throws ServiceError */
export async function callGrpc(
  address: string,
  { host, ca, text }: { host: string; ca: string; text: string },
): Promise<string> {
  const client = new Client(address, credentials.createSsl(Buffer.from(ca)), {
    "grpc.ssl_target_name_override": host,
    "grpc.default_authority": host,
  });
  try {
    return await new Promise((resolve, reject) =>
      client.makeUnaryRequest(
        METHOD,
        same,
        same,
        Buffer.from(text),
        { deadline: Date.now() + 20_000 },
        (error: ServiceError | null, bytes?: Buffer) => (error ? reject(error) : resolve(String(bytes))),
      ),
    );
  } finally {
    client.close();
  }
}

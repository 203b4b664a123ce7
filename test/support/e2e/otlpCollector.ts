/**
 * An OTLP collector over gRPC: prints each export in Base64, a line each. A program of its own, for a
 * machine's network:
 *
 *     node otlpCollector.ts PORT
 */
import * as grpc from "@grpc/grpc-js";

const asIs = (bytes: Buffer) => bytes;

const server = new grpc.Server();
server.addService(
  {
    Export: {
      path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
      requestStream: false,
      responseStream: false,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    },
  },
  {
    Export: ({ request }: { request: Buffer }, answer: grpc.sendUnaryData<Buffer>) => {
      console.log(request.toString("base64"));
      answer(null, Buffer.alloc(0));
    },
  },
);
server.bindAsync(`0.0.0.0:${process.argv[2]}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log("listening");
});

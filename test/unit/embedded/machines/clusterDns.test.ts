/** Tests of embedded/machines/clusterDns.ts. */
import { expect, test } from "vitest";
import { CLUSTER_DNS_IP } from "../../../../embedded/host/instance.ts";
import { applyClusterDns } from "../../../../embedded/machines/clusterDns.ts";
import { FakeApiServer } from "../../../support/fakeApiServer.ts";

test("applies each object of coredns.yaml at its path, with the image and the address", async () => {
  const server = await FakeApiServer.start();
  try {
    await applyClusterDns(server.api(), "docker.io/lab/coredns:1");
    const applied = server.requests.map(({ path, query }) => [path, query.force]);
    expect(applied).toEqual([
      ["/api/v1/namespaces/kube-system/serviceaccounts/coredns", "true"],
      ["/apis/rbac.authorization.k8s.io/v1/clusterroles/system:coredns", "true"],
      ["/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:coredns", "true"],
      ["/api/v1/namespaces/kube-system/configmaps/coredns", "true"],
      ["/apis/apps/v1/namespaces/kube-system/deployments/coredns", "true"],
      ["/api/v1/namespaces/kube-system/services/kube-dns", "true"],
    ]);
    expect(JSON.stringify(server.requests[4]?.body)).toContain('"image":"docker.io/lab/coredns:1"');
    expect(server.requests[5]?.body).toMatchObject({ spec: { clusterIP: CLUSTER_DNS_IP } });
  } finally {
    server.stop();
  }
});

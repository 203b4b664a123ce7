/** Tests of components/istio/uninstall.sh. */
import { describe, expect, it } from "vitest";
import { OWNED_KINDS, resourceOf } from "../../../../mesh/ownedObject.ts";
import { type FakeCluster, OWNER, runScript } from "../../../support/fakeIstioCluster.ts";

const KINDS = {
  ISTIO_LAB_KINDS: Object.values(OWNED_KINDS).map(resourceOf).join(" "),
  ISTIO_LAB_GATEWAYS: "istio-system/istio-ingressgateway istio-system/istio-egressgateway",
};
const uninstall = (cluster: FakeCluster = {}, env: Record<string, string> = KINDS) =>
  runScript("uninstall.sh", { owner: OWNER, ...cluster }, env);
const DELETIONS = /uninstall|kubectl delete|annotate/;

describe("uninstall.sh", () => {
  it("purges the stack's Istio and deletes its namespace last", () => {
    const { status, calls } = uninstall();
    expect(status).toBe(0);
    expect(calls).toContain("istioctl uninstall --purge --skip-confirmation --log_output_level=klog:none");
    const deletions = calls.filter((call) => call.startsWith("kubectl delete"));
    expect(deletions.at(-1)).toMatch(/^kubectl delete namespace istio-system /);
  });

  it("deletes no object by a pattern of names, and no namespace's whole content", () => {
    const { calls } = uninstall();
    const wholesale = calls.filter((call) => call.startsWith("kubectl delete") && / --all( |$)/.test(call));
    expect(wholesale).toEqual([]);
    for (const kind of ["clusterroles", "customresourcedefinitions", "replicasets", "pods", "services"])
      expect(calls.join("\n")).toMatch(
        new RegExp(`delete \\S*${kind}\\S* --selector=install.operator.istio.io/owning-resource`),
      );
  });

  it("ends the pods after what would make others, and before the namespace goes", () => {
    const { calls } = uninstall();
    const at = (part: string) => calls.findIndex((call) => call.includes(part));
    const makers = at("delete deployments,replicasets");
    expect(calls[makers]).toMatch(/--cascade=orphan .*--wait=false/);
    expect(at("delete pods")).toBeGreaterThan(makers);
    expect(at("delete namespace")).toBeGreaterThan(at("delete pods"));
  });

  it("reports pods that do not end, and leaves the namespace", () => {
    const { status, stderr, calls } = uninstall({ podsStay: true });
    expect(status).toBe(1);
    expect(stderr).toContain("pods of Istio are still being deleted");
    expect(calls.join("\n")).not.toContain("delete namespace");
  });

  it("waits for pods with a sidecar that are being deleted, last of all", () => {
    const { status, calls } = uninstall({ pods: "default nginx-v116-x 2026-11-23T16:00:00Z" });
    expect(status).toBe(0);
    const waited = calls.findIndex((call) =>
      call.startsWith("kubectl wait --for=delete pod/nginx-v116-x --namespace=default "),
    );
    expect(waited).toBeGreaterThan(calls.findIndex((call) => call.startsWith("kubectl delete namespace")));
  });

  it("reports a purge that fails, and leaves the namespace", () => {
    const { status, stderr, calls } = uninstall({ purgeFails: true });
    expect(status).toBe(1);
    expect(stderr).toContain("istioctl uninstall ended with status 1; run pulumi destroy again");
    expect(calls.join("\n")).not.toContain("delete namespace");
  });

  it("leaves a namespace that existed before the claim, without the claim", () => {
    const { status, stderr, calls } = uninstall({ existed: true });
    expect(status).toBe(0);
    expect(stderr).toContain("namespace istio-system stays, because it existed before");
    expect(calls.join("\n")).not.toContain("delete namespace");
    expect(calls.join("\n")).toContain(
      "annotate namespace istio-system istio-lab/owner- istio-lab/namespace-",
    );
  });

  it.each(Object.values(OWNED_KINDS).map(resourceOf))("removes orphans that are %s", (orphan) => {
    const { status, calls, inputs } = uninstall({ orphan });
    expect(status).toBe(0);
    expect(calls.join("\n")).toContain("kubectl delete --filename=-");
    expect(inputs).toContain("kind: Orphan");
    expect(calls.join("\n")).toContain(`annotations.istio-lab/owner=="${OWNER}"`);
  });

  it("removes orphans of a stack whose claim knows no kinds, Secrets among them", () => {
    for (const orphan of ["secrets", "deployments", "gateways.networking.istio.io"])
      expect(uninstall({ orphan }, {}).inputs).toContain("kind: Orphan");
  });

  it("removes orphans before it checks what keeps Istio", () => {
    const { calls } = uninstall({ orphan: "secrets" });
    const removed = calls.findIndex((call) => call.startsWith("kubectl delete --filename=-"));
    const looked = calls.findIndex((call) => call.startsWith("kubectl get pods"));
    expect(removed).toBeGreaterThan(0);
    expect(looked).toBeGreaterThan(removed);
  });

  it.each<[string, FakeCluster]>([
    ["another stack's", { owner: "organization/istio-lab/prod" }],
    ["an unclaimed", { owner: "" }],
  ])("leaves %s Istio alone", (_, cluster) => {
    const { status, calls } = uninstall(cluster);
    expect(status).toBe(0);
    expect(calls.join("\n")).not.toMatch(DELETIONS);
  });

  it("removes what is left of Istio where its namespace was deleted by hand, and the claim with it", () => {
    const { status, stderr, calls } = uninstall({ owner: "", home: false });
    expect(status).toBe(0);
    expect(stderr).toContain("namespace istio-system was deleted, and with it the claim on Istio");
    expect(calls).toContain("istioctl uninstall --purge --skip-confirmation --log_output_level=klog:none");
    const shared = uninstall({ owner: "", home: false, planes: "Deployment mesh/istiod " });
    expect(shared.stderr).toContain("of Deployment mesh/istiod; when");
    expect(shared.calls.join("\n")).not.toMatch(DELETIONS);
  });

  it("says what to do where the objects of a kind cannot be listed", () => {
    const { status, stderr, calls } = uninstall({ silent: "configmaps,secrets,deployments.apps" });
    expect(status).toBe(1);
    expect(stderr).toContain("delete the kind's CustomResourceDefinition, and run pulumi destroy again");
    expect(calls.join("\n")).not.toMatch(DELETIONS);
  });

  it.each([
    "namespace",
    "customresourcedefinitions",
    "virtualservices",
    "deployments",
    "pods",
    "secrets",
    "apiservices",
  ])("does not take an error about %s for none", (silent) => {
    const { status, calls } = uninstall({ silent });
    expect(status).not.toBe(0);
    expect(calls.join("\n")).not.toMatch(DELETIONS);
  });

  it("reports a cluster that does not answer, and the way out", () => {
    const { status, stderr } = uninstall({ reachable: false });
    expect(status).toBe(1);
    expect(stderr).toContain(
      "the cluster does not answer, so that Istio cannot be uninstalled (connection refused)",
    );
    expect(stderr).toContain("run PULUMI_K8S_DELETE_UNREACHABLE=true pulumi destroy");
    const gone = { PULUMI_K8S_DELETE_UNREACHABLE: "true" };
    expect(uninstall({ reachable: false }, gone)).toMatchObject({ status: 0 });
  });

  it("ends where an API that is down holds the namespace, and names it", () => {
    const broken = "v1beta1.metrics.k8s.io";
    const { status, stderr } = uninstall({ broken, afterDeletion: "Terminating True" });
    expect(status).toBe(0);
    expect(stderr).toContain(
      `APIService ${broken} does not answer (repair it, or: kubectl delete apiservice`,
    );
  });
});

describe("Istio stays", () => {
  it.each<[string, FakeCluster, string]>([
    [
      "others' objects of Istio that are not being deleted",
      { objects: "VirtualService shop/web \\nGateway shop/old 2026-11-23T16:00:00Z\\nGateway shop/door " },
      "Gateway shop/door, VirtualService shop/web; when these are gone, uninstall it",
    ],
    [
      "another control plane",
      {
        planes:
          "Deployment istio-canary/istiod-canary \\nDeployment istio-old/istiod " +
          "2026-11-23T16:00:00Z\\nDeployment istio-system/istiod ",
      },
      "of Deployment istio-canary/istiod-canary; when",
    ],
    [
      "a gateway that another IstioOperator installed, which a purge would remove",
      { operators: "Deployment ingress/door " },
      "of Deployment ingress/door; when",
    ],
    [
      "a gateway of another IstioOperator without a name",
      {
        unnamed:
          "Deployment istio-system/istiod \\nDeployment istio-system/istio-ingressgateway \\n" +
          "Deployment shop/istio-ingressgateway ",
      },
      "of Deployment shop/istio-ingressgateway; when",
    ],
    [
      "pods with a sidecar that are not being deleted",
      { pods: "Pod shop/web \\nPod shop/old 2026-11-23T16:00:00Z" },
      "of Pod shop/web; when",
    ],
    [
      "Gateways of the Gateway API that are Istio's",
      {
        crds: "gateways.gateway.networking.k8s.io",
        gateways: "istio Gateway shop/door \\nother Gateway shop/else ",
      },
      "of Gateway shop/door; when",
    ],
    [
      "others' objects in its namespace",
      {
        inNamespace: [
          "Secret\\tdoor-tls\\tkubernetes.io/tls\\t",
          "ConfigMap\\tdashboards\\t\\t",
          "PersistentVolumeClaim\\tmetrics\\t\\t",
          "Secret\\tistio-ca-secret\\tistio.io/ca-root\\t",
          "ConfigMap\\tkube-root-ca.crt\\t\\t",
          "ConfigMap\\tistio-leader\\t\\t{holder}",
          "Pod\\tgrafana-1\\t\\tReplicaSet",
          "ServiceAccount\\tdefault\\t\\t",
        ].join("\\n"),
      },
      "of ConfigMap istio-system/dashboards, PersistentVolumeClaim istio-system/metrics, Secret " +
        "istio-system/door-tls; when",
    ],
    [
      "an API that does not answer, for its objects are unknown",
      { broken: "v1.wardle.example.org" },
      "of APIService v1.wardle.example.org, which does not answer (repair it, or: kubectl delete " +
        "apiservice v1.wardle.example.org); when",
    ],
  ])("for %s, and the message names what holds it", (_, cluster, message) => {
    const { status, stderr, calls } = uninstall(cluster);
    expect(status).toBe(0);
    expect(stderr).toContain(message);
    expect(calls.join("\n")).not.toMatch(DELETIONS);
  });

  it("and the message has the command that uninstalls it later, for the same cluster", () => {
    const env = { KUBECONFIG: "/my lab/config", ISTIO_LAB_CONTEXT: "prod" };
    const { stderr } = uninstall({ objects: "Gateway shop/door " }, env);
    expect(stderr.trimEnd()).toMatch(
      new RegExp(
        `: KUBECONFIG='/my lab/config' ISTIO_LAB_CONTEXT='prod' ISTIO_LAB_OWNER='${OWNER}' sh ` +
          "\\S+/uninstall.sh$",
      ),
    );
  });

  it("but not for rules of its namespace, nor for Istio's authority: these keep the namespace", () => {
    const inNamespace = "NetworkPolicy\\trules\\t\\t\\nSecret\\tcacerts\\tOpaque\\t";
    const { status, stderr, calls } = uninstall({ inNamespace });
    expect(status).toBe(0);
    expect(calls).toContain("istioctl uninstall --purge --skip-confirmation --log_output_level=klog:none");
    expect(stderr).toContain(
      "stays, because it holds NetworkPolicy istio-system/rules, Secret istio-system/cacerts",
    );
    expect(calls.join("\n")).not.toContain("delete namespace");
  });
});

/** Tests of bench/byHand.sh. */
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";

/** Takes the place of every command: it logs its arguments and prints what the script reads. */
const FAKE = `#!/bin/sh
name=\${0##*/}
echo "$name $*" >>"$RECORD/calls"
case "$name $*" in
*nodePort*) printf 30934 ;;
*"get nodes"*) printf 'rancher-node02 10.0.0.2\\nrancher-node03 10.0.0.3\\n' ;;
*"get namespaces"*) printf 'default kube-system' ;;
*"apply --namespace shop -f -") cat >"$RECORD/objects.yaml" ;;
"ssh "*"cat >byHand.cfg"*) cat >"$RECORD/haproxy.cfg" ;;
esac
`;

let work: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), "by-hand-"));
  for (const command of ["istioctl", "kubectl", "ssh", "curl"]) {
    await writeFile(join(work, command), FAKE);
    await chmod(join(work, command), 0o755);
  }
});
afterEach(() => rm(work, { recursive: true }));

describe("byHand.sh", () => {
  it("up: installs, labels, applies, waits, pushes every node's NodePort, and gets the page", async () => {
    const calls = await byHand("up");
    expect(calls.map((call) => call.split(" ").slice(0, 2).join(" "))).toEqual([
      "istioctl install",
      "kubectl label",
      "kubectl apply",
      "kubectl wait",
      "kubectl get",
      "kubectl get",
      expect.stringMatching(/^ssh /),
      "curl --fail",
    ]);
    const haproxy = await readFile(join(work, "haproxy.cfg"), "utf8");
    expect(haproxy.slice(haproxy.lastIndexOf("backend k8s"))).toBe(
      `backend k8s-istio-ingress-gateway
    server rancher-node02 10.0.0.2:30934
    server rancher-node03 10.0.0.3:30934
`,
    );
  });

  it("up: fills images and pages into the article's objects", async () => {
    await byHand("up");
    const documents = parseAllDocuments(await readFile(join(work, "objects.yaml"), "utf8"));
    const objects = documents.map((document) => document.toJS());
    expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
      "ConfigMap nginx-static-files",
      "Deployment nginx-v116",
      "Deployment nginx-v117",
      "Service nginx-svc",
      "DestinationRule nginx",
      "VirtualService nginx",
      "Gateway nginx-gateway",
    ]);
    expect(objects[0].data).toEqual({ v116: "v1.16.1\n", v117: "v1.17.9\n" });
    expect(objects[2].spec.template.spec.containers[0].image).toBe("lab/nginx:1.17.9");
  });

  it("shift: gives v116 and v117 the weights of the command line", async () => {
    const [call = ""] = [(await byHand("shift", "20", "80")).join("\n")];
    const patch = JSON.parse(call.slice(call.indexOf("[")));
    expect(patch).toEqual([
      { op: "replace", path: "/spec/http/0/route/1/weight", value: 20 },
      { op: "replace", path: "/spec/http/0/route/0/weight", value: 80 },
    ]);
  });

  it("down: gives the load balancer its file back first, then takes the app away, Istio last", async () => {
    const order = (await byHand("down")).map(
      (call) => /^(ssh|kubectl delete --|istioctl|kubectl delete namespace)/.exec(call)?.[0],
    );
    expect(order.filter(Boolean)).toEqual([
      "ssh",
      "kubectl delete --",
      "istioctl",
      "kubectl delete namespace",
    ]);
  });

  async function byHand(...args: string[]): Promise<string[]> {
    const settings = {
      NAMESPACE: "shop",
      ISTIO_FILE: "istio.yaml",
      IMAGE_V116: "lab/nginx:1.16.1",
      IMAGE_V117: "lab/nginx:1.17.9",
      PAGE_V116: "v1.16.1",
      PAGE_V117: "v1.17.9",
      LB_HOST: "10.0.0.20",
      LB_PORT: "22",
      LB_USER: "lab",
      LB_KEY: "key",
      LB_KNOWN_HOSTS: "known_hosts",
    };
    const script = join(import.meta.dirname, "../../../bench/byHand.sh");
    await execa("sh", [script, ...args], {
      env: { ...settings, RECORD: work, PATH: `${work}:${process.env.PATH}` },
    });
    return (await readFile(join(work, "calls"), "utf8")).split(/\n(?=istioctl|kubectl|ssh|curl)/);
  }
});

/** Tests of components/webApp/pod.ts. */
import { describe, expect, it } from "vitest";
import type { Version } from "../../../../components/webApp/config.ts";
import { podTemplate } from "../../../../components/webApp/pod.ts";

const VERSION: Version = {
  name: "v117",
  version: "1.17",
  image: "nginx:1.17.9",
  replicas: 3,
  page: "v1.17.9\n",
};
const pod = (change: Partial<Version> = {}, sidecar?: string) =>
  podTemplate({ ...VERSION, ...change }, { namespace: "shop", sidecar });

describe("a pod", () => {
  it("has only what its version sets", () => {
    const [nginx] = pod().spec.containers;
    expect(nginx).not.toHaveProperty("resources");
    expect(nginx).not.toHaveProperty("securityContext");
    expect(pod().spec).not.toHaveProperty("securityContext");
    const resources = { requests: { cpu: "10m", memory: "16Mi" }, limits: { memory: "64Mi" } };
    expect(pod({ resources }).spec.containers[0]).toMatchObject({ resources });
  });

  it("runs unprivileged where it has to, and can write what nginx writes", () => {
    const { spec } = pod({ securityContext: "restricted" });
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(spec.containers[0]?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    });
    const mounts = spec.containers[0]?.volumeMounts.map(({ mountPath }) => mountPath);
    expect(mounts).toEqual(expect.arrayContaining(["/var/run", "/var/cache/nginx"]));
    expect(spec.volumes.map(({ name }) => name)).toEqual(
      spec.containers[0]?.volumeMounts.map(({ name }) => name),
    );
  });

  it("is another one for another page or sidecar, and for nothing else of the sort", () => {
    const text = (...args: Parameters<typeof pod>) => JSON.stringify(pod(...args));
    expect(text({ page: "other" })).not.toBe(text());
    expect(text({}, "hash")).not.toBe(text());
    expect(text({ replicas: 5 })).toBe(text());
  });
});

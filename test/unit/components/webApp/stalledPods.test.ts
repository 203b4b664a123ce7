/** Tests of components/webApp/stalledPods.ts. */
import { expect, it } from "vitest";
import { type Pod, stallsOf } from "../../../../components/webApp/stalledPods.ts";

const waiting = (reason: string, message?: string): Pod => ({
  metadata: { name: "nginx-v116-1" },
  status: {
    containerStatuses: [
      { name: "nginx", image: "nginx:none", state: { waiting: { reason, ...(message ? { message } : {}) } } },
    ],
  },
});

it.each<[string, Pod, string[]]>([
  ["that starts", waiting("ContainerCreating"), []],
  ["without a status yet", { metadata: { name: "nginx" } }, []],
  [
    "whose image is missing",
    waiting("ErrImagePull", "not found"),
    ["container nginx has no image nginx:none: ErrImagePull: not found"],
  ],
  [
    "whose image is missing, later",
    waiting("ImagePullBackOff"),
    ["container nginx has no image nginx:none: ImagePullBackOff"],
  ],
  [
    "whose user is refused",
    waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
    [
      "container nginx cannot be made: CreateContainerConfigError: container has runAsNonRoot and image will run as root",
    ],
  ],
  ["that goes", { ...waiting("ErrImagePull"), metadata: { name: "nginx", deletionTimestamp: "now" } }, []],
  [
    "that no node takes",
    {
      metadata: { name: "nginx" },
      status: {
        conditions: [
          { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "3 Insufficient cpu" },
        ],
      },
    },
    ["no node takes them: 3 Insufficient cpu"],
  ],
  [
    "that crashes",
    {
      metadata: { name: "nginx" },
      status: {
        initContainerStatuses: [
          {
            name: "istio-init",
            state: { waiting: { reason: "CrashLoopBackOff" } },
            lastState: { terminated: { exitCode: 255, reason: "Error" } },
          },
        ],
      },
    },
    ["container istio-init ends again and again (Error, exit status 255)"],
  ],
])("a pod %s", (_, pod, words) => {
  expect(stallsOf(pod).map(({ words }) => words)).toEqual(words);
});

it("one image that cannot be pulled has one key, whichever words the kubelet has for it", () => {
  const keys = ["ErrImagePull", "ImagePullBackOff"].flatMap((reason) => stallsOf(waiting(reason, reason)));
  expect(new Set(keys.map(({ key }) => key)).size).toBe(1);
});

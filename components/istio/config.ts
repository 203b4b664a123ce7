/** Settings of Istio: what is installed, or that nothing is. */
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { ISTIO_GATEWAY } from "../../mesh/model.ts";
import { type ConfigOf, field, key, slice } from "../../settings/slice.ts";
import { flag, isLabel, object, text } from "../../settings/values.ts";

/** Profiles of Istio 1.31 that leave the ingress gateway out; no other setting brings it back. */
const WITHOUT_GATEWAY = ["ambient", "empty", "minimal", "openshift-ambient", "remote"];

const VERSION = /^[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.-]+)?$/;
const HUB = /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

const istio = object(
  "give an object with version, profile, hub, tag, values, components, revision, gateway, manage",
  {
    version: field(
      text("give a version, e.g. 1.31.0", (value) => value.length <= 64 && VERSION.test(value)).default(
        "1.31.0",
      ),
      "Istio's version; `istioctl` must be of the same minor version",
    ),
    profile: field(
      text(
        "give the name of a profile that has an ingress gateway, e.g. demo or default",
        (value) => isLabel(value) && !WITHOUT_GATEWAY.includes(value),
      ).default("demo"),
      "Installation profile; it must have an ingress gateway",
    ),
    hub: field(
      text(
        "give a registry, e.g. docker.io/istio",
        (value) => value.length <= 255 && HUB.test(value),
      ).optional(),
      "Registry of Istio's images",
      "istioctl's own",
    ),
    tag: field(
      text('give an image tag in quotes, e.g. "1.31.0"', (value) => TAG.test(value)).optional(),
      "Tag of Istio's images",
      "the version",
    ),
    values: field(
      z.record(z.string(), z.unknown(), { error: "give an object of Helm values" }).default({}),
      "Values of Istio's Helm charts",
    ),
    components: field(
      z.record(z.string(), z.unknown(), { error: "give an object of components" }).default({}),
      "Components of the IstioOperator beside its values, e.g. `cni.enabled: true` for Istio's CNI",
    ),
    revision: field(
      text("give the name of a revision or a tag, e.g. stable", (value) => isLabel(value)).optional(),
      "Revision or tag of the Istio whose sidecars the namespace gets, by the label `istio.io/rev`",
      "the default one, by the label `istio-injection`",
    ),
    gateway: field(
      object("give an object with namespace, service and selector", {
        namespace: field(
          text("give a DNS label, e.g. istio-ingress", (value) => isLabel(value)).default(
            ISTIO_GATEWAY.namespace,
          ),
          "Its namespace",
        ),
        service: field(
          text("give the name of a Service, e.g. istio-ingress", (value) => isLabel(value)).default(
            ISTIO_GATEWAY.service,
          ),
          "Its Service",
        ),
        selector: field(
          z
            .record(z.string(), z.string(), { error: "give labels as names and values, e.g. istio: ingress" })
            .refine((labels) => Object.keys(labels).length > 0, { error: "give at least one label" })
            .default({ ...ISTIO_GATEWAY.selector }),
          "Labels of its pods",
        ),
      }).prefault({}),
      "The ingress gateway that requests come in through",
    ),
    manage: field(flag().default(true), "False uses an Istio that is there already and never uninstalls it"),
  },
);

/** How Istio comes into the cluster. */
export type IstioInstallation = z.output<typeof istio>;

export const istioSettings = slice({
  keys: { istio: key(istio.prefault({}), "How Istio comes into the cluster") },
  check({ istio }, { fault }) {
    if (!istio?.manage) return;
    const right = "it is for an Istio that is there already: set istio.manage to false, or leave it out";
    if (istio.revision !== undefined) fault("istio.revision", istio.revision, right);
    if (!isDeepStrictEqual(istio.gateway, ISTIO_GATEWAY)) fault("istio.gateway", istio.gateway, right);
  },
});

/** The capability's part of the configuration. */
export type IstioConfig = ConfigOf<typeof istioSettings>;

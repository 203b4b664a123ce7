/** Settings of the web application: its namespace and its versions. */
import { z } from "zod";
import { ISTIO_NAMESPACE } from "../../mesh/model.ts";
import { amountOf } from "../../mesh/quantity.ts";
import { type CheckContext, type ConfigOf, field, key, slice } from "../../settings/slice.ts";
import {
  checkDistinct,
  image,
  integer,
  isLabel,
  isLabelName,
  isLabelValue,
  object,
  quantity,
  text,
} from "../../settings/values.ts";

/** Namespaces in which Istio never injects a sidecar, and its own. */
const WITHOUT_SIDECARS = [
  ISTIO_NAMESPACE,
  "kube-node-lease",
  "kube-public",
  "kube-system",
  "local-path-storage",
];

/** Labels by which the Service and the Deployments find their pods, and Istio's switch. */
const OWN_LABELS = ["app", "version", "service", "sidecar.istio.io/inject"];

/** What a ConfigMap may hold; all pages are in one. */
const CONFIG_MAP_BYTES = 1_048_576;

const CPU = /^([0-9]+m|[0-9]+(\.[0-9]{1,3})?)$/;
const MEMORY = /^[0-9]+(\.[0-9]+)?(k|Ki|M|Mi|G|Gi)$/;

/** Some quotas demand the last one too. */
const RESOURCES = ["cpu", "memory", "ephemeral-storage"] as const;

function amounts() {
  return object("give an object with cpu, memory and ephemeral-storage", {
    cpu: quantity("give cores or thousandths of one, e.g. 0.5 or 500m", CPU).optional(),
    memory: quantity("give bytes with a unit, e.g. 64Mi", MEMORY).optional(),
    "ephemeral-storage": quantity("give bytes with a unit, e.g. 64Mi", MEMORY).optional(),
  }).optional();
}

const version = object("give an object with name, version and image", {
  name: field(
    text("give a DNS label of at most 57 characters, e.g. v116", (value) => isLabel(value, 57)),
    "Names the Deployment (`nginx-NAME`), the subset and the key in `weights`",
  ),
  version: field(
    text('give a label value in quotes, e.g. "1.16"', isLabelValue),
    "Value of the pods' label `version`, in quotes",
  ),
  image: field(image(), "Image with nginx"),
  replicas: field(integer("give an integer from 1 to 1000", 1, 1000).default(3), "Number of pods"),
  resources: field(
    object("give an object with requests and limits", {
      requests: field(
        amounts(),
        "What is reserved: `cpu`, e.g. `100m`; `memory` and `ephemeral-storage`, e.g. `64Mi`",
        "none",
      ),
      limits: field(amounts(), "What may be used at most, in the same form", "none"),
    }).optional(),
    "CPU, memory and local disk of each pod's nginx",
    "",
  ),
  securityContext: field(
    z.enum(["restricted"], { error: "give restricted, or leave it out" }).optional(),
    "`restricted`: the pods keep to Pod Security's profile of that name: user 101, no privileges, no " +
      "capabilities",
    "the image's own user",
  ),
  page: field(
    text(
      "give a text of 1 to 65536 characters without control characters",
      (value) => value.length > 0 && value.length <= 65536 && !/\p{Cc}/u.test(value.replace(/[\n\t]/g, "")),
    ).optional(),
    "What `/echo/test.txt` answers: it distinguishes this version from the others",
    "`v` and the image's tag",
  ),
});

export const webAppSettings = slice({
  keys: {
    namespace: key(
      text("give a DNS label, e.g. default", (value) => isLabel(value))
        .refine((value) => !WITHOUT_SIDECARS.includes(value), {
          error: "Istio injects no sidecar there: give a namespace of your own, or default",
        })
        .default("default"),
      "Namespace of the application. It must exist; it gets the label `istio-injection=enabled`",
    ),
    labels: key(
      z
        .record(
          text("give the name of a label, e.g. team", isLabelName),
          text("give a label value, in quotes where it is a number", isLabelValue),
          { error: "give labels as names and values, e.g. team: shop" },
        )
        .default({}),
      "Further labels of each object and pod of the application, of monitoring and of tracing, and of the " +
        "Deployments and pods of the Istio that the stack installs, e.g. `team: shop` where a policy " +
        "requires it",
      { otherwise: "none" },
    ),
    versions: key(
      z
        .array(version, { error: "give a list of versions" })
        .min(1, { error: "give at least one version" })
        .prefault([
          { name: "v116", version: "1.16", image: "nginx:1.16.1" },
          { name: "v117", version: "1.17", image: "nginx:1.17.9" },
        ]),
      "Versions of the application",
      { otherwise: "the article's two" },
    ),
  },
  check({ versions = [], labels = {} }, { fault }) {
    for (const name of OWN_LABELS.filter((name) => Object.hasOwn(labels, name)))
      fault(`labels.${name}`, labels[name], "the program gives it a value of its own: leave it out");
    versions.forEach(({ page, image }, index) => {
      if (page !== undefined || tagOf(image) !== undefined) return;
      fault(
        `versions[${index}].page`,
        undefined,
        `the image ${image} has no tag to make it of; give a text that distinguishes this version from ` +
          "the others",
      );
    });
    const whole = versions.map(withPage);
    checkDistinct("versions", whole, "name", "give each version a name of its own", fault);
    checkDistinct(
      "versions",
      whole,
      "version",
      "give each version a label of its own, or their pods mix",
      fault,
    );
    checkDistinct("versions", whole, "page", "give each version a page of its own", fault);
    checkResources(versions, fault);
    checkSize(whole, fault);
  },
  resolve: ({ namespace, labels, versions }) => ({
    namespace,
    labels,
    versions: versions.map(withPage),
  }),
});

/** The capability's part of the configuration. */
export type WebAppConfig = ConfigOf<typeof webAppSettings>;

type GivenVersion = Readonly<z.output<typeof version>>;

/** One version of the web application. */
export type Version = GivenVersion & { readonly page: string };

/** Fills in a page that is not given, as the article has them. */
function withPage(version: GivenVersion): Version {
  return { ...version, page: version.page ?? `v${tagOf(version.image) ?? version.name}\n` };
}

const tagOf = (image: string) => /:([^:/@]+)$/.exec(image.replace(/@.*$/, ""))?.[1];

/** The API server refuses a request above its limit. */
function checkResources(versions: readonly GivenVersion[], fault: CheckContext["fault"]): void {
  for (const [index, { resources }] of versions.entries()) {
    for (const name of RESOURCES) {
      const [request, limit] = [resources?.requests?.[name], resources?.limits?.[name]];
      if (request === undefined || limit === undefined || amountOf(request) <= amountOf(limit)) continue;
      fault(
        `versions[${index}].resources.requests.${name}`,
        request,
        `give ${limit} at most, the limit in versions[${index}].resources.limits.${name}`,
      );
    }
  }
}

function checkSize(versions: readonly Version[], fault: CheckContext["fault"]): void {
  const bytes = versions.reduce((sum, { name, page }) => sum + Buffer.byteLength(name + page), 0);
  if (bytes <= CONFIG_MAP_BYTES) return;
  fault(
    "versions",
    versions,
    `their pages have ${bytes} bytes in all, and one ConfigMap holds them, ${CONFIG_MAP_BYTES} at ` +
      "most: give shorter ones",
  );
}

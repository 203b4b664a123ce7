/** The steps that make the images of a lab: the official ones, or those of the toolchain. */
import type { OnProgress } from "./go/go.ts";
import { COREDNS, ISTIO, PROMETHEUS } from "./go/modules.ts";
import { corednsImage, nginxImage, pauseImage, pilotImage, proxyImage } from "./images/images.ts";
import { BUILT_IMAGES, type ImageNames } from "./images/names.ts";
import { prometheusImage, zipkinImage, zipkinJar } from "./images/observe.ts";
import { builtImage, type ImageRecipe } from "./images/recipe.ts";
import type { Makers } from "./makers.ts";
import { type ImagePart, OFFICIAL_IMAGES, officialImages } from "./official/images.ts";
import type { Origin } from "./official/origin.ts";
import type { Parts } from "./parts.ts";
import { ROOTS } from "./roots.ts";
import { type Step, step } from "./step.ts";

interface Given {
  readonly origin: Origin;
  readonly parts: Parts;
  readonly make: Makers;
  /** Directory of the wheels. */
  readonly wheels: Promise<string>;
  readonly wanted: { readonly monitoring?: boolean; readonly tracing?: boolean };
}

/** A part of one or two images, with their archives. */
type ImageStep = Step<{ readonly value: readonly string[]; readonly official: boolean }>;

type Recipes = (report: OnProgress) => Promise<ImageRecipe[]>;

export function imageSteps(given: Given): {
  readonly steps: readonly ImageStep[];
  /** Resolves when the steps have run. */
  names(): Promise<ImageNames>;
  /** Resolves when the steps have run. */
  archives(): Promise<string[]>;
} {
  const { monitoring, tracing } = given.wanted;
  const image = (part: string, name: ImagePart) => imageStep(part, name, recipesOf(given)[name], given);
  const pause = image("pause", "pause");
  const coredns = image("CoreDNS", "coredns");
  const nginx = image("nginx", "nginx");
  const istio = image("Istio", "istio");
  const prometheus = monitoring ? image("Prometheus", "prometheus") : undefined;
  const zipkin = tracing ? image("Zipkin", "zipkin") : undefined;
  const steps = [pause, coredns, nginx, istio, prometheus, zipkin].filter((each) => each !== undefined);
  return {
    steps,
    names: async () => ({
      pause: await nameOf(pause, "pause"),
      coredns: await nameOf(coredns, "coredns"),
      nginx: await nameOf(nginx, "nginx"),
      istio: await nameOf(istio, "istio"),
      ...(prometheus ? { prometheus: await nameOf(prometheus, "prometheus") } : {}),
      ...(zipkin ? { zipkin: await nameOf(zipkin, "zipkin") } : {}),
    }),
    archives: async () =>
      (await Promise.all(steps.map(({ result }) => result))).flatMap(({ value }) => value),
  };
}

/** Debian with Prometheus and Java. */
export const monitoringRoot = (make: Makers) => make.root(3, ROOTS.monitoring);

function recipesOf({ make, wheels }: Given): Record<ImagePart, Recipes> {
  const imagesRoot = () => make.root(2, ROOTS.images);
  return {
    pause: async () => [pauseImage(await imagesRoot())],
    coredns: async (report) => [corednsImage(await make.build(2, COREDNS, report))],
    nginx: async () => [nginxImage(await imagesRoot())],
    istio: async (report) => {
      const istio = await make.build(1, ISTIO, report);
      const from = { root: await imagesRoot(), istio, wheels: await wheels };
      return [pilotImage(from), proxyImage(from)];
    },
    prometheus: async (report) => [
      prometheusImage(await monitoringRoot(make), await make.build(4, PROMETHEUS, report)),
    ],
    zipkin: async () => {
      const java = await monitoringRoot(make);
      return [zipkinImage({ root: java, busybox: await imagesRoot(), jar: await zipkinJar(java) })];
    },
  };
}

function imageStep(part: string, name: ImagePart, recipes: Recipes, { origin, parts }: Given): ImageStep {
  return step(`image of ${part}`, (report) =>
    parts.choose(`image of ${part}`, {
      official: () => officialImages(origin, name, report),
      build: async () => {
        const archives: string[] = [];
        for (const recipe of await recipes(report)) archives.push(await builtImage(recipe));
        return archives;
      },
    }),
  );
}

/** The image's official name, or the name of the built image in its place. */
async function nameOf<P extends keyof ImageNames>(
  image: Step<{ official: boolean }>,
  part: P,
): Promise<(typeof BUILT_IMAGES | typeof OFFICIAL_IMAGES)[P]> {
  const { official } = await image.result;
  return official ? OFFICIAL_IMAGES[part] : BUILT_IMAGES[part];
}

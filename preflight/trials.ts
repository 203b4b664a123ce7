/** Has the API server try every object by a dry run: policies, quotas, webhooks that would refuse it. */
import { ApiError, type KubernetesApi, NoAnswer } from "../clients/kubernetes.ts";
import { apiVersionOf, pathOf } from "../mesh/ownedObject.ts";
import type { Fault } from "../settings/faults.ts";
import type { Trial } from "./capability.ts";

/** A webhook may take 30 s; the preflight has 9 s for everything. */
export const TRIAL_MS = 6000;

/** A fault for each refusal, with all objects that it concerns. */
export async function trialFaults(api: KubernetesApi, trials: readonly Trial[]): Promise<Fault[]> {
  const refusals = await Promise.all(
    trials.map(async (trial) => ({ ...trial, refusal: await refusalOf(api, trial) })),
  );
  const found = refusals.flatMap(({ refusal, ...trial }) => (refusal ? [{ refusal, ...trial }] : []));
  const byRefusal = Map.groupBy(found, ({ refusal, object }) =>
    refusal.replaceAll(` "${object.name}"`, "").replaceAll(`"${object.name}"`, ""),
  );
  return [...byRefusal].map(([refusal, trials]) => {
    const names = trials.map(({ object }) => `${object.kind} ${object.name}`).join(", ");
    const { namespace = "" } = trials[0]?.object ?? {};
    const where = namespace ? ` in namespace ${namespace}` : "";
    return {
      key: "",
      message: `the API server does not accept ${names}${where}: ${refusal}: ${wayOutOf(refusal)}`,
    };
  });
}

/** The API server's own words; undefined where it accepts the object, or where another check is for it. */
async function refusalOf(
  api: KubernetesApi,
  { object, body, tolerates }: Trial,
): Promise<string | undefined> {
  const whole = { apiVersion: apiVersionOf(object), kind: object.kind, ...body };
  const options = { dryRun: true, force: true, fieldManager: "istio-lab-preflight", answerMs: TRIAL_MS };
  const refusal = await wordsOf(api.apply(pathOf(object), whole, options));
  return refusal && tolerates?.test(refusal) ? undefined : refusal;
}

/** Why a dry run fails; undefined where it succeeds, or where the failure is the subject of another check. */
export async function wordsOf(trial: Promise<unknown>): Promise<string | undefined> {
  try {
    await trial;
  } catch (error) {
    if (error instanceof NoAnswer && error.kind === "time")
      return `a dry run got ${error.message}, as with a webhook that is silent`;
    // What else ends a request ends those of the other checks too.
    if (!(error instanceof ApiError) || error.status === 404) return undefined;
    return OF_OTHER_CHECKS.test(error.message) ? undefined : error.message;
  }
  return undefined;
}

/**
 * Rights, a namespace that is being deleted, a name that another owner's object has, an account that is still
 * missing in a new namespace; and webhooks that cannot try.
 */
const OF_OTHER_CHECKS =
  /cannot [a-z]+ resource "|is being terminated|field is immutable(?! when)|service account|does not support dry run/;

/** What a user can do about a refusal. */
export function wayOutOf(refusal: string): string {
  const another = "or set namespace to another one";
  if (/fail(ed|ing) (to )?call(ing)?\b.*webhook|webhook that is silent/.test(refusal))
    return (
      "repair what answers for that webhook, or delete its configuration where that is gone (kubectl get " +
      "validatingwebhookconfigurations,mutatingwebhookconfigurations)"
    );
  if (/field is immutable when/.test(refusal))
    return "delete that object, whose field immutable was set by hand, and run pulumi up --refresh";
  if (/quota/.test(refusal)) return `have the namespace's ResourceQuota changed, ${another}`;
  return (
    "give what the policy requires (labels for each object and pod; image, resources and securityContext " +
    `of each version), have the namespace exempted from it, ${another}`
  );
}

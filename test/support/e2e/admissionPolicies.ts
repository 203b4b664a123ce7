/** ValidatingAdmissionPolicies of a cluster's administrator. */
import type { TestLab } from "./harness.ts";

export interface Rules {
  readonly name: string;
  readonly resources: readonly object[];
  readonly expression: string;
  readonly message: string;
}

const created = (apiGroup: string, ...resources: string[]) => ({
  ...{ apiGroups: [apiGroup], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"] },
  resources,
});

/** Not on pods, as companies have it: those of Deployments get their labels with them. */
export const TEAM_RULES: Rules = {
  name: "team",
  resources: [created("apps", "deployments")],
  expression: "has(object.metadata.labels) && 'team' in object.metadata.labels",
  message: "every Deployment needs the label team",
};

/** A trial by a user does not meet them. */
export const CONTROLLER_RULES: Rules = {
  name: "controllers",
  resources: [created("", "pods")],
  expression: "request.userInfo.username != 'system:serviceaccount:kube-system:replicaset-controller'",
  message: "no pods of controllers",
};

/** As with a cluster whose default for Pod Security is restricted. */
export const DEFAULT_RULES: Rules = {
  name: "default",
  resources: [created("", "pods")],
  expression:
    "namespaceObject.metadata.labels[?'pod-security.kubernetes.io/enforce'].orValue('') == 'privileged'",
  message: 'violates PodSecurity "restricted:latest"',
};

/** Makes a policy that refuses objects in these namespaces, and its binding. */
export async function denyIn(
  lab: TestLab,
  namespaces: readonly string[],
  { name, resources, expression, message }: Rules,
): Promise<void> {
  const namespace = { key: "kubernetes.io/metadata.name", operator: "In", values: namespaces };
  const kinds = {
    ValidatingAdmissionPolicy: {
      matchConstraints: { resourceRules: resources },
      validations: [{ expression, message }],
    },
    ValidatingAdmissionPolicyBinding: {
      policyName: name,
      validationActions: ["Deny"],
      matchResources: { namespaceSelector: { matchExpressions: [namespace] } },
    },
  };
  const apiVersion = "admissionregistration.k8s.io/v1";
  for (const [kind, spec] of Object.entries(kinds))
    await lab.create({ apiVersion, kind, metadata: { name }, spec });
}

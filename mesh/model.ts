/** The model of the mesh: versions of one application, and the split of requests between them. */

/** A set of pods that can receive requests: a subset of the DestinationRule. */
export interface Subset {
  /** The version's name, e.g. `v116`. */
  readonly name: string;
  /** Value of the pods' label `version`, e.g. `1.16`. */
  readonly version: string;
}

/** Version name to integer percent; the percents sum to 100. */
export type Weights = Readonly<Record<string, number>>;

/** The gateway through which requests come in. */
export interface GatewayRef {
  /** Namespace of its Service and its pods. */
  readonly namespace: string;
  /** Name of its Service. */
  readonly service: string;
  /** Labels of its pods. */
  readonly selector: Readonly<Record<string, string>>;
}

/** Namespace of istiod, and root namespace of the mesh. */
export const ISTIO_NAMESPACE = "istio-system";

/** The gateway that istioctl's profiles install. */
export const ISTIO_GATEWAY: GatewayRef = {
  namespace: ISTIO_NAMESPACE,
  service: "istio-ingressgateway",
  selector: { istio: "ingressgateway" },
};

/** Everything that decides where a request for the application goes. */
export interface Routes {
  /** Host name that the application answers to. */
  readonly host: string;
  /** Host names that the Gateway lets in; `host` is one of them. */
  readonly gatewayHosts: readonly string[];
  /** Name of the Service in front of all versions. */
  readonly service: string;
  /** The versions, in the order of the configuration. */
  readonly versions: readonly Subset[];
  /** Exactly the versions, each with its percent. */
  readonly weights: Weights;
  readonly gateway: GatewayRef;
  /** Secret in the gateway's namespace with certificate and key. @default the gateway serves no https */
  readonly credential?: string | undefined;
}

/** How port 443 is served. */
export interface Tls {
  /** Who holds the certificate: the load balancer (`terminate`) or the ingress gateway (`passthrough`). */
  readonly mode: "terminate" | "passthrough";
  /** True: port 80 answers with a redirect to https. */
  readonly redirect: boolean;
  /** Chain in PEM, the server's own certificate first. */
  readonly certificate: string;
  /** Its key, PKCS #8 in PEM, in plain: wrap it in a secret before it goes anywhere. */
  readonly key: string;
}

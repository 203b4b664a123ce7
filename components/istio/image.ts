/** Where an image of Istio is, by the settings. Pure. */

export interface ImageSettings {
  readonly version: string;
  /** @default Istio's own registry */
  readonly hub?: string | undefined;
  /** @default the version */
  readonly tag?: string | undefined;
}

/** @param name e.g. `proxyv2` */
export const imageOf = ({ version, hub = "docker.io/istio", tag = version }: ImageSettings, name: string) =>
  `${hub}/${name}:${tag}`;

/** Settings of monitoring: a Prometheus of the program's own, or one that is there already. */
import { z } from "zod";
import { amountOf } from "../../mesh/quantity.ts";
import type { ConfigOf } from "../../settings/slice.ts";
import { field, key, slice } from "../../settings/slice.ts";
import { flag, image, integer, isLabel, object, text } from "../../settings/values.ts";
import { LEAST_MEMORY } from "./prometheus.ts";

/** Prometheus as the program deploys it. */
export interface DeployedMonitoring {
  readonly image: string;
  /** E.g. `24h`. */
  readonly retention: string;
  /** E.g. `512Mi`. */
  readonly memory: string;
  readonly storage?: { readonly size: string; readonly storageClass?: string | undefined } | undefined;
}

export interface MonitoringSettings {
  /** Seconds between two scrapes. */
  readonly scrapeSeconds: number;
  /** True: the proxies lack Istio's telemetry filter. */
  readonly standIn: boolean;
  /** Address of a Prometheus that is there already; nothing is deployed then. */
  readonly url?: string | undefined;
  readonly deployed?: DeployedMonitoring | undefined;
}

/** Prometheus' own durations: each unit once, the largest first. */
const DURATION = /^(?=[0-9])([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$/;
const QUANTITY = /^[1-9][0-9]*(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$/;
/** The write-ahead log alone takes files of 128 MiB. */
const LEAST_VOLUME = 512 * 2 ** 20;

/** Zero would keep samples for ever; Prometheus refuses more than 292 years. */
const isRetention = (value: string) =>
  DURATION.test(value) && /[1-9]/.test(value) && !/[0-9]{10}/.test(value) && !/[0-9]{3}y/.test(value);

const isMemory = (value: string) => QUANTITY.test(value) && amountOf(value) >= amountOf(LEAST_MEMORY);

const isVolume = (value: string) => QUANTITY.test(value) && amountOf(value) >= LEAST_VOLUME;

/** Credentials would stand in the stack's outputs in plain text. */
function isUrl(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || /[\s?#]/.test(value)) return false;
  return /^https?:$/.test(url.protocol) && url.port !== "0" && !url.username && !url.password;
}

export const monitoringSettings = slice({
  keys: {
    monitoring: key(
      object(
        "give an object with enabled, url, image, retention, memory, scrapeSeconds, storage and proxies",
        {
          enabled: field(flag().default(false), "Whether Prometheus is deployed, in a namespace of its own"),
          url: field(
            text(
              "give the address of a Prometheus, without credentials and query, e.g. " +
                "http://prometheus.example:9090",
              isUrl,
            ).optional(),
            "Address of a Prometheus that is there already; nothing is deployed then",
            "none",
          ),
          image: field(image().default("prom/prometheus:v3.5.0"), "Image of Prometheus 2.42 or later"),
          retention: field(
            text("give a duration, e.g. 24h or 15d", isRetention).default("24h"),
            "How long samples are kept",
          ),
          memory: field(
            text(`give a size of ${LEAST_MEMORY} or more, e.g. 1Gi`, isMemory).default("512Mi"),
            "The most memory that Prometheus may take",
          ),
          scrapeSeconds: field(
            integer("give an integer from 1 to 300", 1, 300).default(15),
            "Seconds between two scrapes",
          ),
          storage: field(
            object("give an object with size and storageClass", {
              size: text("give a size of 512Mi or more, e.g. 2Gi", isVolume),
              storageClass: text(
                "give the name of a StorageClass",
                (value) => value.length <= 253 && value.split(".").every((label) => isLabel(label)),
              ).optional(),
            }).optional(),
            "`size` and `storageClass` of a PersistentVolumeClaim for the samples",
            "an emptyDir: the samples go with the pod",
          ),
          proxies: field(
            z.enum(["istio", "envoy"], { error: "give istio or envoy" }).default("istio"),
            "`envoy` for proxies without Istio's telemetry filter: Envoy's stats access logger stands in " +
              "for it",
          ),
        },
      ).prefault({}),
      "Prometheus with Istio's standard metrics, HAProxy's metrics, and rules for shares, errors and latency",
    ),
  },
  /** Of the values as given: a fault elsewhere in them must not hide this one. */
  check(_, { raw, fault }) {
    const { enabled, url, storage } = (raw.monitoring ?? {}) as Readonly<Record<string, unknown>>;
    const deployed = String(enabled) === "true";
    if (!deployed && url && storage)
      fault(
        "monitoring.storage",
        storage,
        "nothing is deployed when monitoring.url is set: set one of the two",
      );
    if (deployed && url)
      fault(
        "monitoring.url",
        url,
        "a Prometheus is deployed when monitoring.enabled is true: set one of the two",
      );
  },
  resolve: ({ monitoring }): { readonly monitoring: MonitoringSettings | undefined } => {
    const { enabled, url, image, retention, memory, scrapeSeconds, storage, proxies } = monitoring;
    if (!enabled && !url) return { monitoring: undefined };
    const deployed = enabled ? { image, retention, memory, storage } : undefined;
    return { monitoring: { scrapeSeconds, standIn: proxies === "envoy", url, deployed } };
  },
});

/** The capability's part of the configuration. */
export type MonitoringConfig = ConfigOf<typeof monitoringSettings>;

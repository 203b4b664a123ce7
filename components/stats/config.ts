/** Settings of what watches HAProxy: its exporter and its stats page. */
import { z } from "zod";
import type { Listen } from "../../haproxy/model.ts";
import { type ConfigOf, field, key, slice } from "../../settings/slice.ts";
import { listen, object, text } from "../../settings/values.ts";

const WANT_PASSWORD =
  "give 12 to 128 plain ASCII characters without spaces: pulumi config set --secret statsPassword";

export interface Stats {
  /** HAProxy's own exporter, at `/metrics`. */
  readonly prometheus?: Listen | undefined;
  /** HAProxy's stats page; its password in plain: wrap it in a secret before it goes anywhere. */
  readonly page?: (Listen & { readonly user: string; readonly password: string }) | undefined;
}

export const statsSettings = slice({
  keys: {
    stats: key(
      object("give an object with prometheus, page and user", {
        prometheus: field(
          listen().optional(),
          "`ADDRESS:PORT` of the load balancer, where its exporter answers at `/metrics` and its response " +
            "times at `/latency`",
          "off",
        ),
        page: field(
          listen().optional(),
          "`ADDRESS:PORT` of the load balancer, where the stats page is",
          "off",
        ),
        user: field(
          text("give a name of letters, digits, dots, dashes and underscores", (value) =>
            /^[A-Za-z0-9._-]{1,32}$/.test(value),
          ).default("admin"),
          "User of the stats page",
        ),
      }).prefault({}),
      "Metrics and stats page of HAProxy; the admin socket always answers",
    ),
    statsPassword: key(
      z.string({ error: WANT_PASSWORD }).default(""),
      "Password of the stats page, 12 characters or more. The pushed file holds a hash of it only",
      { secret: "private" },
    ),
  },
  /** The password may stay in the configuration while the page is off. */
  check({ stats, statsPassword = "" }, { raw, fault }) {
    if (!stats?.page) return;
    if (stats.prometheus?.port === stats.page.port) {
      const { page } = raw.stats as { page: string };
      fault("stats.page", page, "stats.prometheus has the same port: give each its own");
    }
    if (!/^[\x21-\x7e]{12,128}$/.test(statsPassword)) fault("statsPassword", statsPassword, WANT_PASSWORD);
  },
  resolve: ({ stats: { prometheus, page, user }, statsPassword }): { readonly stats: Stats } => ({
    stats: { prometheus, page: page && { ...page, user, password: statsPassword } },
  }),
});

/** The capability's part of the configuration. */
export type StatsConfig = ConfigOf<typeof statsSettings>;

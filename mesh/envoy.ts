/** Envoy's names that EnvoyFilters match and set. */

/** Package of the types of Envoy's extensions, as in `@type`. */
export const PACKAGE = "type.googleapis.com/envoy.extensions";

/** Name of the filter that handles HTTP in a filter chain. */
export const HTTP_FILTER = "envoy.filters.network.http_connection_manager";

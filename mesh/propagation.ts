/** How long a change of the mesh takes to reach every proxy. */

/**
 * Seconds from a write to the API server to the last proxy that uses it. istiod collects changes for 0.1 s
 * before it pushes them (PILOT_DEBOUNCE_AFTER) and offers no client a way to wait for the last
 * acknowledgement; 0.3 s is the longest that was measured, on a busy machine of two cores.
 */
export const PROPAGATION_SECONDS = 3;

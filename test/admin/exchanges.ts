// One exchange with each route of the admin API, for what holds for all of them.

export const exchanges: readonly [method: string, path: string, body?: object][] = [
  ["get", "/api/v1/status"],
  ["get", "/api/v1/spend"],
  ["get", "/api/v1/usage"],
  ["get", "/api/v1/requests"],
  ["get", "/api/v1/requests/{id}"],
  ["post", "/api/v1/requests/{id}/cancel", {}],
  ["post", "/api/v1/estimate", { model: "flux-dev" }],
  ["get", "/api/v1/mode"],
  ["put", "/api/v1/mode", { mode: "local" }],
  ["get", "/api/v1/clock"],
  ["post", "/api/v1/clock", { accept: true }],
  ["get", "/api/v1/spending"],
  ["post", "/api/v1/spending", { stopped: true, cut: true }],
  ["get", "/api/v1/policy"],
  ["post", "/api/v1/policy/check", { text: "bad" }],
  ["post", "/api/v1/tokens", { id: "carol" }],
  ["get", "/healthz"],
  ["get", "/api/health"],
  ["get", "/readyz"],
  ["get", "/api/openapi.json"],
];

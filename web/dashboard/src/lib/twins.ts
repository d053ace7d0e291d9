// Which command does what a route of the API does.
export const commands: Record<string, string> = {
  "GET /healthz": "ayni status", "GET /readyz": "ayni status", "GET /openapi.json": "ayni man --openapi",
  "GET /v1/status": "ayni status", "GET /v1/id": "ayni id", "GET /v1/peers": "ayni peers", "POST /v1/peers": "ayni join TICKET",
  "POST /v1/invites": "ayni invite", "GET /v1/offers": "ayni offers", "GET /v1/proofs": "ayni explorer", "GET /v1/why": "ayni why", "GET /v1/doctor": "ayni doctor",
  "POST /v1/shutdown": "ayni stop", "POST /v1/blobs": "ayni run", "POST /v1/blobs/missing": "ayni run", "GET /v1/blobs/{digest}": "ayni job fetch ID -o out",
  "HEAD /v1/blobs/{digest}": "ayni job fetch ID -o out", "GET /v1/jobs": "ayni job list", "POST /v1/jobs": "ayni run", "GET /v1/jobs/{id}": "ayni job show ID",
  "GET /v1/jobs/{id}/tasks": "ayni job show ID --tasks", "POST /v1/jobs/{id}/tasks": "ayni run --watch DIR", "GET /v1/jobs/{id}/tasks/{index}": "ayni job show ID --task N",
  "GET /v1/jobs/{id}/tasks/{index}/receipt": "ayni job fetch ID -o out", "POST /v1/jobs/{id}/close": "ayni run", "POST /v1/jobs/{id}/cancel": "ayni job cancel ID",
  "GET /v1/jobs/{id}/evidence": "ayni job show ID --evidence", "GET /v1/jobs/{id}/events": "ayni job attach ID", "GET /v1/events": "ayni job attach last",
  "POST /v1/exec": "ayni exec PROGRAM", "POST /v1/check": "ayni check PROGRAM", "POST /v1/verify": "ayni verify RECEIPT", "GET /v1/wallet": "ayni wallet show",
  "POST /v1/quote": "ayni quote", "GET /v1/channels": "ayni channel list", "POST /v1/channels/{id}/close": "ayni channel close ID", "POST /v1/claims": "ayni channel claim",
  "GET /v1/stake": "ayni stake show", "POST /v1/stake": "ayni stake add AMOUNT", "GET /v1/disputes": "ayni dispute list", "POST /v1/disputes/{id}/appeal": "ayni dispute appeal ID",
  "GET /v1/provider": "ayni status", "GET /v1/provider/limits": "ayni limits", "PUT /v1/provider/limits": "ayni limits set", "DELETE /v1/provider/limits": "ayni limits reset",
  "POST /v1/provider/pause": "ayni pause", "POST /v1/provider/resume": "ayni resume", "POST /v1/provider/drain": "ayni provide",
  "POST /v1/login-links": "ayni open --no-browser", "GET /v1/session": "ayni open", "POST /v1/session": "ayni open", "DELETE /v1/session": "ayni open",
};

// What crosses the gateway with a tunnel's two heads, and what does not.

import test from "ava";
import type { Upstream } from "../../src/policy/policy.ts";
import { switchedHead, tunnelRequest } from "../../src/proxy/tunnel-heads.ts";
import { upstreamAt } from "../support/relay-rig.ts";

function asked(rawHeaders: readonly string[], changes: Partial<Upstream> = {}, path = "/v1/realtime") {
  return tunnelRequest({
    upstream: upstreamAt("http://nim.example:8000/base", changes),
    path,
    rawHeaders,
    requestId: "r-test",
    rewriteModel: changes.model,
    secretOf: () => "upstream-secret",
  });
}

test("a client's credentials and what is the gateway's own stay here, the upstream's key goes along", (t) => {
  const auth = { kind: "bearer", secret: { kind: "env", name: "KEY" } } as const;
  const request = asked(
    [
      ...["Host", "localhost:7070", "Connection", "Upgrade, X-Hop", "Upgrade", "websocket", "X-Hop", "1"],
      ...["Authorization", "Bearer canary", "Cookie", "canary", "X-API-Key", "canary"],
      ...["Proxy-Authorization", "canary", "X-BudgetGuard-User", "canary"],
      ...["Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.canary"],
      ...[
        "Sec-WebSocket-Key",
        "k",
        "Sec-WebSocket-Extensions",
        "permessage-deflate",
        "X-Other",
        "1",
        "X-Other",
        "2",
      ],
    ],
    { auth },
  );
  if (request instanceof Error) throw request;
  t.is(request.path, "/base/v1/realtime");
  const { Via, ...headers } = request.headers;
  t.regex(String(Via), /budgetguard/);
  t.deepEqual(headers, {
    host: "nim.example:8000",
    connection: "Upgrade",
    upgrade: "websocket",
    "Sec-WebSocket-Protocol": "realtime",
    "Sec-WebSocket-Key": "k",
    "Sec-WebSocket-Extensions": "permessage-deflate",
    "X-Other": ["1", "2"],
    "X-Request-Id": "r-test",
    Authorization: "Bearer upstream-secret",
  });
});

const renamed: [path: string, expected: string][] = [
  ["/v1/realtime?model=a", "/v1/realtime?model=riva%2F1"],
  ["/v1/realtime?x=1&model=a&y=2", "/v1/realtime?x=1&model=riva%2F1&y=2"],
  ["/v1/realtime?%6Dodel=a", "/v1/realtime?model=riva%2F1"],
  ["/v1/realtime?xmodel=a", "/v1/realtime?xmodel=a"],
  ["/v1/model=a", "/v1/model=a"],
];
for (const [path, expected] of renamed) {
  test(`an upstream that calls the model riva/1 is asked for it: ${path}`, (t) => {
    t.like(asked([], { model: "riva/1" }, path), { path: `/base${expected}` });
  });
}

test("a header that cannot be sent on is found before anything is sent", (t) => {
  t.true(asked(["X-Odd", "a\u0001b"]) instanceof Error);
});

test("of the 101 only what is the tunnel's reaches the client", (t) => {
  const raw = [
    ...["Connection", "Upgrade, X-Hop", "Upgrade", "websocket", "X-Hop", "1", "Set-Cookie", "a=b"],
    ...["Access-Control-Allow-Origin", "*", "Content-Length", "5", "Sec-WebSocket-Accept", "s"],
    ...["X-BudgetGuard-Upstream", "lies", "Sec-WebSocket-Protocol", "realtime"],
  ];
  t.deepEqual(switchedHead(raw, [["X-BudgetGuard-Upstream", "up"]]), {
    connection: "Upgrade",
    upgrade: "websocket",
    "Sec-WebSocket-Accept": "s",
    "Sec-WebSocket-Protocol": "realtime",
    "X-BudgetGuard-Upstream": "up",
  });
});

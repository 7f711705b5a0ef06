// DNS rebinding, in all the ways that are known: a page whose name was re-pointed at this machine still says
// that name, in one spelling or another. At each of the gateway's ports it is turned away, and the upstream
// sees nothing of it.

import test, { type ExecutionContext } from "ava";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { freePort } from "../support/free-port.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { imageBody } from "../support/gateway-client.ts";
import { rawClient, within } from "../support/sockets.ts";

/** `P` stands for the port that is asked. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  "the attacker's own name": ["evil.example", "evil.example:80", "evil.example:443"],
  "the attacker's name with our port": ["evil.example:P", "EVIL.example:P", "evil.example.:P"],
  "our name with something before or behind it": [
    ...["localhost.evil.example:P", "127.0.0.1.evil.example:P", "evil-localhost:P", "evil.localhost:P"],
    ...[
      "127.0.0.1.nip.io:P",
      "localhostx:P",
      "xlocalhost:P",
      "a.studio.example",
      "studio.example.evil.example",
    ],
  ],
  "a dot, a case or letters that look alike": [
    ...[
      "localhost.:P",
      "127.0.0.1.:P",
      "studio.example.",
      "ｌocalhost:P",
      "lоcalhost:P",
      "xn--lcalhost-b2h:P",
    ],
    ...["localhost\u00ad:P", "local%68ost:P"],
  ],
  "another way to write our address": [
    ...[
      "127.1:P",
      "127.0.1:P",
      "2130706433:P",
      "0x7f000001:P",
      "0x7f.0.0.1:P",
      "0177.0.0.1:P",
      "017700000001:P",
    ],
    ...["127.000.000.001:P", "127.0.0.2:P", "0.0.0.0:P", "0:P", "[::ffff:127.0.0.1]:P", "[::ffff:7f00:1]:P"],
    ...["[0:0:0:0:0:0:0:1]:P", "[::]:P", "[::1%25lo]:P", "::1:P", "127.0.0.1%00:P"],
  ],
  "a user before our name, or ours as the user": [
    ...["evil@localhost:P", "localhost:P@evil.example", "localhost:P@evil.example:P", "evil:x@127.0.0.1:P"],
    ...["localhost:P,evil.example", "evil.example, localhost:P", "localhost:P/evil", "localhost:P#evil"],
    ...["localhost:P\\evil.example", "localhost P"],
  ],
  "a wrong port, or none": [
    ...[
      "localhost:1",
      "127.0.0.1:1",
      "[::1]:1",
      "localhost",
      "127.0.0.1",
      "[::1]",
      "localhost:",
      "localhost:0",
    ],
    ...["localhost:65536", "localhost:PP", "localhost:-P", "localhost:+P", "localhost:P:P", ":P"],
  ],
};

/** Each with the bytes that go out in the place of a Host header; undefined: none at all. */
const ODD_HOSTS: readonly (readonly [string, "1.1" | "1.0", string])[] = [
  ["no Host", "1.1", ""],
  ["no Host in HTTP/1.0", "1.0", ""],
  ["an empty Host", "1.1", "Host:\r\n"],
  ["a Host of blanks", "1.1", "Host:   \r\n"],
  ["two Hosts, ours first", "1.1", "Host: localhost:P\r\nHost: evil.example\r\n"],
  ["two Hosts, ours last", "1.1", "Host: evil.example\r\nHost: localhost:P\r\n"],
  ["two Hosts that are the same", "1.1", "Host: localhost:P\r\nHost: localhost:P\r\n"],
  ["a Host that goes on in the next line", "1.1", "Host: localhost:P\r\n .evil.example\r\n"],
  [
    "a proxy's header instead",
    "1.1",
    "Host: evil.example\r\nX-Forwarded-Host: localhost:P\r\nForwarded: host=localhost:P\r\n",
  ],
];

interface Scene {
  readonly nim: Nim;
  readonly gateway: Gateway;
  /** Port, and what is asked there: work that costs money, or a change of the mode. */
  readonly doors: readonly (readonly [name: string, port: number, request: (target: string) => string])[];
}

async function begin(t: ExecutionContext): Promise<Scene> {
  const nim = await startNim({ scale: 0.01 });
  const modelPort = await freePort();
  const gateway = await startGateway(`version: 1
mode: local
hosts: [studio.example]
upstreams:
  flux-local: { provider: local, url: "${nim.url}" }
models:
  flux-dev: { upstreams: [flux-local], port: ${modelPort} }
`);
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));
  const body = imageBody();
  const change = '{"mode":"lowest_price"}';
  const type = "Content-Type: application/json\r\nConnection: close";
  const infer = (target: string) =>
    `POST ${target}/v1/infer HTTP/1.1\r\nHOST${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const put = (target: string) =>
    `PUT ${target}/api/v1/mode HTTP/1.1\r\nHOSTAuthorization: Bearer ${gateway.daemon.adminToken}\r\n${type}\r\n` +
    `Content-Length: ${change.length}\r\n\r\n${change}`;
  const doors = [
    ["the gateway's own address", Number(new URL(gateway.url).port), infer],
    ["a model's port", modelPort, infer],
    ["the admin address", Number(new URL(gateway.daemon.admin).port), put],
  ] as const;
  return { nim, gateway, doors };
}

/** The status line of what came back. */
async function statusOf(port: number, text: string): Promise<string> {
  const client = await rawClient(port, Buffer.from(text, "utf8"));
  await within(10_000, client.closed, text);
  client.socket.destroy();
  return client.received().split("\r\n", 1)[0] ?? "";
}

async function turnsAway(
  t: ExecutionContext,
  { nim, gateway, doors }: Scene,
  requests: readonly [string, (port: number, request: string) => string][],
) {
  for (const [door, port, request] of doors) {
    for (const [what, make] of requests) {
      const status = await statusOf(port, make(port, request("")));
      t.regex(status, /^HTTP\/1\.1 4(?:21|00) /, `${what} at ${door}`);
    }
  }
  t.deepEqual(nim.requests, [], "the upstream sees nothing");
  t.is((await gateway.client.mode()).mode, "local", "nothing is changed");
  t.is((await gateway.client.requests()).items.length, 0, "nothing is counted");
}

const withPort = (text: string, port: number) => text.replaceAll("P", String(port));

for (const [kind, names] of Object.entries(NAMES)) {
  test(`rebinding by ${kind} is turned away at every port`, async (t) => {
    const scene = await begin(t);
    const requests = names.map(
      (name) =>
        [
          name,
          (port: number, request: string) => request.replace("HOST", `Host: ${withPort(name, port)}\r\n`),
        ] as [string, (port: number, request: string) => string],
    );
    await turnsAway(t, scene, requests);
  });
}

test("rebinding by a Host that is missing, doubled or folded is turned away at every port", async (t) => {
  const scene = await begin(t);
  await turnsAway(
    t,
    scene,
    ODD_HOSTS.map(([what, version, host]) => [
      what,
      (port, request) =>
        request
          .replace("HTTP/1.1", `HTTP/${version}`)
          .replace("HOST", host.replaceAll("localhost:P", `localhost:${port}`)),
    ]),
  );
});

test("rebinding by an absolute target is turned away at every port, whatever Host stands beside it", async (t) => {
  const scene = await begin(t);
  const { nim, doors } = scene;
  for (const [door, port, request] of doors) {
    for (const [target, host] of [
      ["http://evil.example", `localhost:${port}`],
      [`http://evil.example:${port}`, `localhost:${port}`],
      [`http://localhost:${port}@evil.example`, `localhost:${port}`],
      [`http://localhost:${port}`, "evil.example"],
      ["//evil.example", `localhost:${port}`],
    ] as const) {
      const status = await statusOf(port, request(target).replace("HOST", `Host: ${host}\r\n`));
      t.notRegex(status, /^HTTP\/1\.1 2/, `${target} at ${door}`);
    }
  }
  t.deepEqual(nim.requests, []);
});

test("the names that are ours are let in at every port, in any case", async (t) => {
  const { nim, gateway, doors } = await begin(t);
  for (const [door, port, request] of doors) {
    for (const host of [
      `localhost:${port}`,
      `LocalHost:${port}`,
      `127.0.0.1:${port}`,
      `[::1]:${port}`,
      "studio.example",
      `STUDIO.example:${port}`,
    ]) {
      const status = await statusOf(port, request("").replace("HOST", `Host: ${host}\r\n`));
      t.regex(status, /^HTTP\/1\.1 200 /, `${host} at ${door}`);
    }
  }
  t.is(nim.requests.length, 12);
  t.is((await gateway.client.mode()).mode, "lowest_price");
});

// Names are compared whole: what merely looks like this machine is another one.

import test from "ava";
import { isAllowedHost, isAllowedOrigin } from "../../src/policy/hosts.ts";

const ALLOWED = { ports: [7070, 7100], hosts: ["studio.example", "render-7:9000", "Gateway.LAN"] };

const hosts: [string | undefined, boolean][] = [
  ["localhost:7070", true],
  ["LOCALHOST:7100", true],
  ["127.0.0.1:7070", true],
  ["[::1]:7070", true],
  ["studio.example", true],
  ["studio.example:7070", true],
  ["render-7:9000", true],
  ["gateway.lan", true],
  [undefined, false],
  ["", false],
  ["localhost", false],
  ["localhost:80", false],
  ["localhost:7071", false],
  ["studio.example:8080", false],
  ["render-7", false],
  ["render-7:7070", false],
  // What rebinding is tried with.
  ["evil.example:7070", false],
  ["localhost.evil.example:7070", false],
  ["evil-localhost:7070", false],
  ["a.studio.example", false],
  ["localhost.:7070", false],
  ["0.0.0.0:7070", false],
  ["127.1:7070", false],
  ["2130706433:7070", false],
  ["[::ffff:127.0.0.1]:7070", false],
  ["127.0.0.1:7070@evil.example", false],
  ["evil.example@127.0.0.1:7070", false],
  ["localhost:7070, evil.example", false],
  ["localhost:7070/x", false],
  [" localhost:7070", false],
  ["localhost:07070", true],
  ["localhost:", false],
  ["xn--localhost:7070", false],
];

test("a Host is allowed only if it is whole and exactly one of ours", (t) => {
  for (const [host, expected] of hosts) t.is(isAllowedHost(host, ALLOWED), expected, `${host}`);
});

test("a loopback name without a port is meant where a default port is listened on", (t) => {
  t.true(isAllowedHost("localhost", { ports: [80], hosts: [] }));
  t.false(isAllowedHost("localhost", { ports: [8080], hosts: [] }));
});

const OWN = { ports: [7071], hosts: [], origins: ["https://Studio.example", "null"] };
const origins: [string, boolean][] = [
  ["https://studio.example", true],
  ["HTTPS://STUDIO.EXAMPLE", true],
  ["http://localhost:7071", true],
  ["http://127.0.0.1:7071", true],
  ["http://studio.example", false],
  ["https://studio.example:8443", false],
  ["https://studio.example.evil.example", false],
  ["http://localhost:8188", false],
  ["http://evil.example", false],
  ["http://evil.example/localhost:7071", false],
  ["null", false],
  ["", false],
  ["file://localhost:7071", false],
  ["http://user@localhost:7071", false],
];

test("an origin is allowed only if it is ours or listed; null never is", (t) => {
  for (const [origin, expected] of origins) t.is(isAllowedOrigin(origin, OWN), expected, origin);
});

// A connection that was kept and that the upstream has closed meanwhile: before our first write another one is
// taken, and nobody notices; after it, a POST is not sent twice.

import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { relayRig } from "../support/relay-rig.ts";
import { rawClient, rawUpstream, within } from "../support/sockets.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async function start(t: ExecutionContext, script: (socket: Socket, head: string) => void) {
  const heads: string[] = [];
  const upstream = await rawUpstream((socket, head) => {
    heads.push(head);
    script(socket, head);
  });
  const rig = await relayRig(upstream.url);
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  const post = (close = "") =>
    rawClient(
      rig.port,
      `POST /v1/infer HTTP/1.1\r\nHost: localhost:${rig.port}\r\n${close}Content-Length: 2\r\n\r\n{}`,
    );
  return { heads, upstream, rig, post };
}

for (const how of ["end", "resetAndDestroy"] as const) {
  test(`a kept connection that the upstream closed (${how}) costs a POST nothing: it takes another`, async (t) => {
    const { heads, upstream, rig, post } = await start(t, (socket) => {
      socket.write(OK);
      setTimeout(() => socket[how](), 50);
    });
    for (let round = 1; round <= 3; round++) {
      const client = await post();
      await within(2000, client.until(/ok$/), "the reply");
      const { clock } = await rig.next();
      t.deepEqual(clock, ["begin", "stop"]);
      await sleep(100);
    }
    t.is(upstream.connections(), 3);
    t.is(heads.length, 3);
  });
}

test("a kept connection that the upstream closes upon the next POST is a 502, and the POST is not sent again", async (t) => {
  let posts = 0;
  const { upstream, rig, post } = await start(t, (socket) => {
    posts++;
    socket.write(OK);
    socket.on("data", () => {
      posts++;
      socket.destroy();
    });
  });
  await (await post()).until(/ok$/);
  await rig.next();
  const client = await post();
  t.regex(await within(2000, client.until(/\}$/), "the answer"), /^HTTP\/1.1 502 .*x-should-retry: false/s);
  t.like(await rig.next(), { clock: ["begin", "stop"], relayed: { ending: { outcome: "failed" } } });
  await sleep(100);
  t.deepEqual([posts, upstream.connections()], [2, 1]);
});

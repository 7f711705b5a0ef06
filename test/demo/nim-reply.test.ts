import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { sendReply } from "../../src/demo/nim-reply.ts";

test("a reply in pieces waits for a slow reader, and stops when it leaves", async (t) => {
  const most = 20_000;
  const piece = Buffer.alloc(65_536);
  let made = 0;
  async function* pieces(): AsyncIterable<Buffer> {
    while (made < most) {
      made += 1;
      yield piece;
    }
  }
  const ended = Promise.withResolvers<unknown>();
  const server = createServer((_, res) => {
    const gone = new AbortController();
    res.once("close", () => gone.abort());
    sendReply({ status: 200, headers: {}, body: pieces() }, res, gone.signal).then(
      () => ended.resolve("sent"),
      (error: Error) => ended.resolve(error.name),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const asked = request({ port, host: "127.0.0.1" }, (reply) => reply.pause()).end();
  asked.on("error", () => undefined);
  while (made === 0) await sleep(5);
  await sleep(100);
  t.true(made < most, `${made} pieces were made for a reader that reads none`);
  asked.destroy();
  t.is(await ended.promise, "AbortError");
});

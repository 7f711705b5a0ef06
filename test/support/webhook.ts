// A receiver of webhooks that a test scripts: it keeps every body that came, and answers as it is told.

import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A status with headers, or "hang": it takes the body and never answers. */
export type Answer =
  | { readonly status: number; readonly headers?: Record<string, string> }
  | "hang"
  | "reset";

export interface Receiver {
  readonly url: string;
  /** Parsed bodies, in the order in which they came. */
  readonly bodies: Record<string, unknown>[];
  /** Of each that came: when, in milliseconds of the monotonic clock. */
  readonly times: number[];
  /** What the next ones get; 200 once there is none left. */
  answers: Answer[];
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const hanging = new Set<ServerResponse>();
  const receiver = {
    bodies: [] as Record<string, unknown>[],
    times: [] as number[],
    answers: [] as Answer[],
  };
  const server = createServer(async (asked, reply) => {
    const chunks: Buffer[] = [];
    for await (const chunk of asked) chunks.push(chunk as Buffer);
    receiver.bodies.push(JSON.parse(Buffer.concat(chunks).toString("utf8")));
    receiver.times.push(performance.now());
    const answer = receiver.answers.shift() ?? { status: 200 };
    if (answer === "hang") hanging.add(reply);
    else if (answer === "reset") reply.destroy();
    else reply.writeHead(answer.status, answer.headers).end("ok");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${port}/services/T0/B0/a-secret-path`,
    close: async () => {
      for (const reply of hanging) reply.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

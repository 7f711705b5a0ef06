// Connections to upstreams: one pool for each origin and connect timeout. How many requests an upstream gets
// at once is not decided here but by its slots; a pool opens as many connections as it is asked for.

import { LRUCache } from "lru-cache";
import { buildConnector, Pool } from "undici";
import { checked, type Lookup, lookUp, watchful } from "./upstream-address.ts";

/** Origins of a policy are few; this bounds what discovered addresses leave behind. */
const MOST_POOLS = 256;
/** Bytes of an upstream's reply head. */
const MAX_REPLY_HEAD = 32 * 1024;

export class Pools {
  readonly #lookup: Lookup;
  readonly #pools = new LRUCache<string, Pool>({
    max: MOST_POOLS,
    // What is under way in it ends first.
    dispose: (pool) => void pool.close().catch(() => {}),
  });

  /** `lookup` is a test's own name server. */
  constructor(lookup: Lookup = lookUp) {
    this.#lookup = lookup;
  }

  of(origin: string, connectMs: number): Pool {
    const key = `${origin} ${connectMs}`;
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const pool = new Pool(origin, {
      pipelining: 1,
      connect: connector(connectMs, this.#lookup),
      maxHeaderSize: MAX_REPLY_HEAD,
      // The relay keeps its own deadlines: undici's would not count a flood of 1xx, nor the whole.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.#pools.set(key, pool);
    return pool;
  }

  /** Closes the pools of all other origins, each after what is under way in it. */
  retain(origins: ReadonlySet<string>): void {
    for (const key of [...this.#pools.keys()]) {
      if (!origins.has(key.split(" ")[0] ?? "")) this.#pools.delete(key);
    }
  }

  /** At the end of the daemon: breaks what is still under way. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values()];
    await Promise.all(pools.map((pool) => pool.destroy()));
    this.#pools.clear();
  }
}

/**
 * TLS is always verified, and HTTP/2 never offered. undici takes a reset for the end of a reply that is
 * delimited by closing; under another code it is what it is: a broken connection.
 */
export function connector(timeoutMs: number, lookup: Lookup = lookUp): buildConnector.connector {
  const tls = { allowH2: false, rejectUnauthorized: true };
  const connect = buildConnector({ timeout: timeoutMs, ...tls, lookup: checked(lookup) });
  return watchful((options, callback) =>
    connect(options, (...result) => {
      const [, socket] = result;
      socket?.prependListener("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "ECONNRESET") error.code = "ERR_UPSTREAM_RESET";
      });
      callback(...result);
    }),
  );
}

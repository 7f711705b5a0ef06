// The admin surface as the daemon sees it: something that listens, and closes.

import { createApi } from "./api.ts";
import type { House } from "./house.ts";
import { type Address, type Certified, LIMITS, Listener, type Listening } from "./listener.ts";
import type { Metrics } from "./metrics.ts";
import type { Safety, Sender } from "./safety.ts";

export interface AdminOptions {
  readonly metrics: Metrics;
  readonly version: string;
  /** See Safety: whose token this is, in constant time. */
  readonly authenticate: Safety["authenticate"];
  /** The path that an operator finds the admin token at. */
  readonly tokenPath: string;
  /** Who may read without a token. */
  readonly anonymous: Safety["anonymous"];
  /** What addresses off loopback show; without it they speak http. */
  readonly certificate?: Certified | undefined;
  /** For the log: an error that no route expected. */
  readonly onBug: (error: unknown, where: string) => void;
}

export interface Admin {
  listen(addresses: readonly Address[]): Promise<Listening>;
  close(): Promise<void>;
  /** The same surface without a socket: whoever asks so is not known to be of this machine. */
  fetch(request: Request): Promise<Response>;
}

export function createAdmin(house: House, options: AdminOptions): Admin {
  const safety: Safety = {
    ports: () => listener.ports(),
    allowed: () => house.policy().policy,
    authenticate: options.authenticate,
    tokenPath: options.tokenPath,
    anonymous: options.anonymous,
  };
  const api = createApi({ house, safety, ...options });
  const fetch = async (request: Request, sender: Sender = {}) => api.fetch(request, sender);
  const listener = new Listener(fetch, LIMITS, options.certificate);
  return {
    listen: (addresses) => listener.listen(addresses),
    close: () => listener.close(),
    fetch: (request) => fetch(request),
  };
}

// Client tokens of the ledger, by SHA-256; the policy's own clients are looked up in the policy. Never the
// tokens themselves.

import { createHash, timingSafeEqual } from "node:crypto";
import { type Policy, ROLES, type Role } from "../policy/policy.ts";

export interface TokenOwner {
  readonly id: string;
  readonly role: Role;
}

export class Tokens {
  readonly #byHash = new Map<string, TokenOwner>();

  constructor(stored: readonly { readonly sha256: string; readonly id: string; readonly role: string }[]) {
    for (const { sha256, id, role } of stored) {
      const known = ROLES.find((one) => one === role);
      if (known !== undefined) this.add(sha256, { id, role: known });
    }
  }

  find(sha256: string): TokenOwner | undefined {
    return this.#byHash.get(sha256);
  }

  has(id: string): boolean {
    return [...this.#byHash.values()].some((owner) => owner.id === id);
  }

  add(sha256: string, owner: TokenOwner): void {
    this.#byHash.set(sha256, owner);
  }

  remove(sha256: string): void {
    this.#byHash.delete(sha256);
  }
}

/**
 * Whose token this is: the administrator's, a client's of the policy, or one of the ledger's. Hashes are
 * looked up, so that the time it takes says nothing about a token.
 */
export function authenticator(adminToken: string, tokens: Tokens, policy: () => Policy) {
  const admin = sha256Of(adminToken);
  return (token: string): TokenOwner | undefined => {
    // Whatever the others are, nothing said is nobody.
    if (token === "" || adminToken === "") return undefined;
    const hash = sha256Of(token);
    if (timingSafeEqual(hash, admin)) return { id: "admin", role: "admin" };
    const hex = hash.toString("hex");
    for (const client of policy().clients.values()) if (client.tokenSha256 === hex) return client;
    return tokens.find(hex);
  };
}

function sha256Of(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

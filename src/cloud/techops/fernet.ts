// Opens what TechOps encrypted: Fernet, with the key that its tool derives from a studio's password. It makes
// no tokens, knows nothing of what is inside them, and asks nothing of the time that they carry.

import { createDecipheriv, createHmac, pbkdf2, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { Sealed } from "./sealed.ts";

export type Opened =
  | { readonly kind: "opened"; readonly text: Sealed<string> }
  /** It was never such a token, or a part of it is missing. */
  | { readonly kind: "broken" }
  /** Another password made it, or it was changed since: the two cannot be told apart. */
  | { readonly kind: "not_this_key" };

/** With this one the tool encrypts where nobody gives it another: everybody knows it. */
export const DEFAULT_STUDIO_KEY = "budgetguard_studio_default_key";

const SALT = "budgetguard_comfyui_salt";
const ROUNDS = 100_000;
const derive = promisify(pbkdf2);

/** Off the main thread: deriving takes longer than a relay may stand still. */
export async function openToken(wrapped: string, password: string): Promise<Opened> {
  const token = unwrap(wrapped);
  if (token === undefined) return { kind: "broken" };
  const key = await derive(password, SALT, ROUNDS, 32, "sha256");
  const signed = token.subarray(0, -HMAC_BYTES);
  const expected = createHmac("sha256", key.subarray(0, 16)).update(signed).digest();
  if (!timingSafeEqual(expected, token.subarray(-HMAC_BYTES))) return { kind: "not_this_key" };
  const decipher = createDecipheriv("aes-128-cbc", key.subarray(16), signed.subarray(IV_AT, TEXT_AT));
  try {
    const text = Buffer.concat([decipher.update(signed.subarray(TEXT_AT)), decipher.final()]);
    return { kind: "opened", text: new Sealed(text.toString("utf8")) };
  } catch {
    // A padding that is none, although the signature is right: whoever made it made no Fernet token.
    return { kind: "broken" };
  }
}

/** 0x80, eight bytes of time, the vector, whole blocks of text, and the signature. */
const [IV_AT, TEXT_AT, BLOCK, HMAC_BYTES] = [9, 25, 16, 32];

/** The tool encodes the token's text once more; a token that was not is taken too. */
function unwrap(wrapped: string): Buffer | undefined {
  const text = wrapped.trim();
  const token = isToken(text) ? text : decode(text)?.toString("latin1").trim();
  const bytes = token !== undefined && isToken(token) ? decode(token) : undefined;
  if (bytes === undefined || bytes[0] !== 0x80) return undefined;
  const blocks = bytes.length - TEXT_AT - HMAC_BYTES;
  return blocks >= BLOCK && blocks % BLOCK === 0 ? bytes : undefined;
}

/** How the first byte and a time before the year 2100 begin in base64. */
function isToken(text: string): boolean {
  return text.startsWith("gAAAA");
}

function decode(text: string): Buffer | undefined {
  return /^[\w+/-]+={0,2}$/.test(text) ? Buffer.from(text, "base64url") : undefined;
}

// The two heads of a tunnel: the request that asks an upstream for it, and the 101 that tells the client.
// They pass the same gates as those of every request; only what switches the protocol is said anew.

import { type OutgoingHttpHeaders, validateHeaderName, validateHeaderValue } from "node:http";
import type { SecretRef, Upstream } from "../policy/policy.ts";
import { type AddedHeaders, replyHead } from "./headers.ts";
import { prepare } from "./upstream-request.ts";

export interface TunnelWanted {
  readonly upstream: Upstream;
  /** Origin-form, with its query, without the prefix that named the model. */
  readonly path: string;
  readonly rawHeaders: readonly string[];
  readonly requestId: string;
  /** The name by which the upstream knows the model, where it is another than the client's. */
  readonly rewriteModel: string | undefined;
  readonly secretOf: (ref: SecretRef) => string | undefined;
}

export interface TunnelRequest {
  readonly origin: URL;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
}

export function tunnelRequest(wanted: TunnelWanted): TunnelRequest | Error {
  const path = renameModel(wanted.path, wanted.rewriteModel);
  const rawHeaders = withoutKeys(wanted.rawHeaders);
  const prepared = prepare({
    ...wanted,
    request: { path, rawHeaders, body: NO_BODY },
    rewriteModel: undefined,
  });
  if (prepared instanceof Error) return prepared;
  const origin = new URL(prepared.origin);
  const headers = byName(["host", origin.host, ...SWITCH, ...prepared.options.headers]);
  const fault = faultOf(headers);
  return fault ?? { origin, path: prepared.options.path, headers };
}

/** What the 101 says to the client. */
export function switchedHead(raw: readonly string[], added: AddedHeaders): OutgoingHttpHeaders {
  return byName([...SWITCH, ...replyHead(raw, 101, added).headers]);
}

/** http-proxy looks for them in small letters. */
const SWITCH: readonly string[] = ["connection", "Upgrade", "upgrade", "websocket"];
const NO_BODY = { isWhole: true, source: () => null, announcedAs: () => undefined };

/** `?model=` says here what the JSON `model` says elsewhere; the upstream may have another name for it. */
function renameModel(path: string, name: string | undefined): string {
  if (name === undefined) return path;
  const start = path.indexOf("?") + 1;
  if (start === 0) return path;
  const isModel = (parameter: string) => new URLSearchParams(parameter).has("model");
  const parameters = path.slice(start).split("&");
  const named = parameters.map((each) => (isModel(each) ? `model=${encodeURIComponent(name)}` : each));
  return path.slice(0, start) + named.join("&");
}

/** A browser's OpenAI client can send its key only here, and a client's credentials go no further. */
const KEY_PROTOCOL = /^openai-(?:insecure-api-key|ephemeral)\./i;

function withoutKeys(raw: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    let value = raw[at + 1] ?? "";
    if (name.toLowerCase() === "sec-websocket-protocol") {
      const protocols = value.split(",").map((each) => each.trim());
      value = protocols.filter((each) => !KEY_PROTOCOL.test(each)).join(", ");
      if (value === "") continue;
    }
    kept.push(name, value);
  }
  return kept;
}

/** With the letters that each name came in first. */
function byName(flat: readonly string[]): Record<string, string | string[]> {
  const named = new Map<string, { readonly name: string; readonly values: string[] }>();
  for (let at = 0; at + 1 < flat.length; at += 2) {
    const name = flat[at] ?? "";
    const value = flat[at + 1] ?? "";
    const known = named.get(name.toLowerCase());
    if (known === undefined) named.set(name.toLowerCase(), { name, values: [value] });
    else known.values.push(value);
  }
  return Object.fromEntries(
    [...named.values()].map(({ name, values: [first = "", ...rest] }) => [
      name,
      rest.length === 0 ? first : [first, ...rest],
    ]),
  );
}

/** Node would throw at it only once the clock runs. */
function faultOf(headers: OutgoingHttpHeaders): Error | undefined {
  try {
    for (const [name, values] of Object.entries(headers)) {
      validateHeaderName(name);
      for (const value of [values].flat()) validateHeaderValue(name, String(value));
    }
    return undefined;
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    return new Error(`a header of the request cannot be sent on: ${said}`, { cause });
  }
}

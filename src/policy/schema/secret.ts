// Where secrets are read from. The secret itself is never written in a policy: the file is shown in the API,
// kept in version control and mailed around.

import type { z } from "zod";
import type { Auth, SecretRef } from "../policy.ts";
import { mapping, oneOf } from "./collections.ts";
import { scalar, TEXT_TYPE, textOf } from "./scalar.ts";

const INSTEAD =
  "a reference, for a secret is never written here: {env: NAME}, {file: PATH} or {credential: NAME}";

export function env() {
  return word(
    "an environment variable's name",
    "letters, digits and _, such as NVIDIA_API_KEY",
    /^[A-Za-z_]\w{0,127}$/,
  ).describe("Name of the environment variable that holds the secret.");
}

export function file() {
  return word(
    "a path",
    "the path of a file that only the gateway's user may read",
    /^[^\p{Cc}]{1,1024}$/u,
  ).describe("Path of a file that holds the secret; readable only by the gateway's user.");
}

export function credential() {
  return word(
    "a credential's name",
    "letters, digits and . _ -, as in systemd's LoadCredential=",
    /^\w[\w.-]{0,127}$/,
  ).describe("Name of a systemd credential (LoadCredential=).");
}

/** Quiet: who writes the secret itself by mistake must not find it in the log. */
function word(what: string, write: string, pattern: RegExp) {
  return scalar<string>({
    what,
    write,
    json: { type: TEXT_TYPE, pattern: pattern.source.replace("\\p{Cc}", "\\u0000-\\u001f") },
    quiet: true,
    read: (raw) => {
      const text = textOf(raw);
      return text !== undefined && pattern.test(text) ? text : undefined;
    },
  });
}

export const refForms = {
  env: env().transform((name): SecretRef => ({ kind: "env", name })),
  file: file().transform((path): SecretRef => ({ kind: "file", path })),
  credential: credential().transform((name): SecretRef => ({ kind: "credential", name })),
};

export function secretRef(): z.ZodType<SecretRef> {
  return oneOf(refForms, INSTEAD);
}

export function auth(): z.ZodType<Auth> {
  const header = mapping({
    name: word(
      "a header's name",
      "the name of a request header, such as X-API-Key",
      /^[A-Za-z][A-Za-z0-9-]{0,63}$/,
    ).describe("Name of the request header."),
    secret: secretRef().describe("Where the header's value is read from."),
  });
  return oneOf({
    bearer: secretRef()
      .transform((secret): Auth => ({ kind: "bearer", secret }))
      .describe(
        "Sent as Authorization: Bearer …; the client's own Authorization never reaches the upstream.",
      ),
    header: header
      .transform(({ name, secret }): Auth => ({ kind: "header", name, secret }))
      .describe("Sent as a header of the given name."),
  });
}

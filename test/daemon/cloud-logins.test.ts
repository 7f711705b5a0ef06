// With what a cloud is asked: the policy's word, the secrets as they are now, TechOps' credentials.

import test from "ava";
import { Trouble } from "../../src/cloud/adapter.ts";
import { Sealed } from "../../src/cloud/techops/sealed.ts";
import { accessTo, type LoginParts } from "../../src/daemon/cloud-logins.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { Credentials, ProviderAccess } from "../../src/policy/settings.ts";
import { policy } from "../support/policies.ts";

const missing = { status: "missing", why: "the policy has no techops: key" } as const;
const parts: LoginParts = {
  secrets: { of: (ref) => (ref.kind === "env" && ref.name === "AWS" ? "ID:SECRET" : undefined) },
  techops: {
    credentialsOf: () => undefined,
    state: () =>
      ({
        banner: { text: "⚠ Server Credentials Not Found" },
        status: { aws: missing, azure: missing, gcp: missing, nvidia: missing },
      }) as never,
  },
};

function saying(credentials: Credentials | undefined): Policy {
  const access: ProviderAccess = {
    ...{ credentials, endpoint: "http://127.0.0.1:9", dryRun: false, callsPerMinute: 60 },
  };
  return policy({ upstreams: [], models: [], providers: new Map([["aws", access]]) });
}

test("what the policy names is read, and handed on with the address", (t) => {
  const env = { kind: "env", name: "AWS" } as const;
  const endpoint = "http://127.0.0.1:9";
  t.deepEqual(accessTo("aws", saying(env), parts), { login: { kind: "text", text: "ID:SECRET" }, endpoint });
  const profile = { kind: "profile", name: "studio" } as const;
  t.deepEqual(accessTo("aws", saying(profile), parts), { login: profile, endpoint });
  t.deepEqual(accessTo("aws", saying(undefined), parts).login, { kind: "default" });
  t.deepEqual(accessTo("gcp", saying(profile), parts), { login: { kind: "default" }, endpoint: undefined });
});

test("TechOps' credentials are opened for the call, as they are now", (t) => {
  const values = { accessKeyId: "AKIA", secretAccessKey: "s" };
  const techops = { ...parts.techops, credentialsOf: () => new Sealed(values) as never };
  const { login } = accessTo("aws", saying({ kind: "techops" }), { ...parts, techops });
  t.deepEqual(login, { kind: "techops", values } as never);
});

test("what is missing is said with what to write where", (t) => {
  const file = { kind: "file", path: "/nowhere/key" } as const;
  const unread = t.throws(() => accessTo("aws", saying(file), parts), { instanceOf: Trouble });
  t.regex(unread?.message ?? "", /missing: \/nowhere\/key cannot be read.*\(providers\.aws\.credentials\)/);
  const none = t.throws(() => accessTo("aws", saying({ kind: "techops" }), parts), { instanceOf: Trouble });
  t.like(none, { kind: "unauthenticated" });
  t.regex(none?.message ?? "", /Server Credentials Not Found: those of aws are missing.*install-credentials/);
});

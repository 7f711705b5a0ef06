// With what a cloud is asked: the policy's `providers`, and the secrets that it names as they are now. Files
// and variables are read here; the thread that speaks to clouds is handed what stood in them, in memory.

import { Trouble } from "../cloud/adapter.ts";
import type { CloudAccess, Login } from "../cloud/cloud-access.ts";
import type { Policy, SecretRef } from "../policy/policy.ts";
import type { Cloud } from "../policy/settings.ts";
import { readSecret, type Secrets } from "./secrets.ts";
import type { TechopsWatch } from "./techops-watch.ts";

export interface LoginParts {
  readonly secrets: Pick<Secrets, "of">;
  readonly techops: Pick<TechopsWatch, "credentialsOf" | "state">;
}

/** Throws Trouble that says what to write where. */
export function accessTo(cloud: Cloud, policy: Policy, parts: LoginParts): CloudAccess {
  const access = policy.providers?.get(cloud);
  return { login: loginTo(cloud, access?.credentials, parts), endpoint: access?.endpoint };
}

type Given = NonNullable<ReturnType<NonNullable<Policy["providers"]>["get"]>>["credentials"];

function loginTo(cloud: Cloud, given: Given, { secrets, techops }: LoginParts): Login {
  const key = `providers.${cloud}.credentials`;
  if (given === undefined) return { kind: "default" };
  if (given.kind === "profile") return given;
  if (given.kind === "techops") {
    const sealed = techops.credentialsOf(cloud);
    if (sealed !== undefined) return { kind: "techops", values: sealed.open() };
    const { status, banner } = techops.state();
    const { status: found, why } = status[cloud];
    const cure = `let TechOps run install-credentials on this machine, or write another ${key}`;
    const which = `those of ${cloud} are ${found}${why === undefined ? "" : ` (${why})`}`;
    throw new Trouble("unauthenticated", `${banner.text}: ${which}: ${cure}`);
  }
  const text = secrets.of(given);
  if (text !== undefined) return { kind: "text", text };
  throw new Trouble(
    "unauthenticated",
    `the credentials of ${cloud} are missing: ${whyMissing(given)} (${key})`,
  );
}

function whyMissing(ref: SecretRef): string {
  const found = readSecret(ref);
  return found.kind === "missing" ? found.why : "they have come just now: ask again";
}

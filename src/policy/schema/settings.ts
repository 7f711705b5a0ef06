// The sections around the data path: cloud access, TechOps, ComfyUI, clients, alerts, budget defaults.

import { type Client, ROLES } from "../policy.ts";
import {
  ALERT_EVENTS,
  type Alerts,
  type Credentials,
  type ProviderAccess,
  type Webhook,
} from "../settings.ts";
import { url } from "./addresses.ts";
import { count, fraction, usd } from "./amounts.ts";
import { action, period } from "./budget.ts";
import { list, mapping, oneOf } from "./collections.ts";
import { duration } from "./measures.ts";
import { scalar, TEXT_TYPE, textOf } from "./scalar.ts";
import { refForms, secretRef } from "./secret.ts";
import { choice, flag, text } from "./words.ts";

const credentials = oneOf({
  profile: text(128)
    .transform((name): Credentials => ({ kind: "profile", name }))
    .describe("A profile of the provider's own configuration, such as ~/.aws/config."),
  ...refForms,
  techops: scalar<true>({
    what: "allowed here",
    write: "true, or remove the line",
    json: { const: true },
    read: (raw) => (raw === true ? true : undefined),
  })
    .transform((): Credentials => ({ kind: "techops" }))
    .describe("true: those that TechOps stored (techops.config, techops.studio_key)."),
});

const provider = mapping({
  credentials: credentials
    .optional()
    .describe("Where credentials are read from. Default: the provider's own default chain."),
  endpoint: url()
    .optional()
    .describe("Another API address than the provider's public one: private clouds, tests."),
  dry_run: flag().optional().describe("Only look: nothing is started or stopped. Default: false."),
  calls_per_minute: count(1, 6000).optional().describe("Most API calls in a minute. Default: 60."),
}).transform(
  (given): ProviderAccess => ({
    credentials: given.credentials,
    endpoint: given.endpoint,
    dryRun: given.dry_run ?? false,
    callsPerMinute: given.calls_per_minute ?? 60,
  }),
);

export const providers = mapping({
  aws: provider.optional().describe("Amazon Web Services."),
  azure: provider.optional().describe("Microsoft Azure."),
  gcp: provider.optional().describe("Google Cloud."),
});

export const techops = mapping({
  config: text(1024)
    .optional()
    .describe(
      "Path of TechOps' backend configuration; ~ is the home folder. Default: " +
        "~/ComfyUI/budgetguard/budgetguard_backend_config.json.",
    ),
  studio_key: secretRef()
    .optional()
    .describe(
      "Where the key that opens TechOps' stored credentials is read from. Default: the tool's own, which " +
        "everybody knows.",
    ),
});

export const comfyui = mapping({
  url: url().describe("Address of ComfyUI: asked for its queue, to tell who a request belongs to."),
});

export const defaults = mapping({
  on_limit: action().optional().describe("For budgets that do not say. Default: warn."),
  period: period().optional().describe("For budgets that do not say. Default: daily."),
  warn_at: fraction().optional().describe("For budgets that do not say. Default: 0.75."),
  critical_at: fraction().optional().describe("For budgets that do not say. Default: 0.90."),
  session_idle: duration().optional().describe("Silence after which a session has ended. Default: 30m."),
});

const sha256 = scalar<string>({
  what: "the SHA-256 of a token",
  write: "its 64 hexadecimal digits (budgetguard token create prints them)",
  json: { type: TEXT_TYPE, pattern: "^[0-9A-Fa-f]{64}$" },
  quiet: true,
  read: (raw) => (/^[0-9a-f]{64}$/i.test(textOf(raw) ?? "") ? textOf(raw)?.toLowerCase() : undefined),
});

export const client = mapping({
  token_sha256: sha256.describe(
    "SHA-256 of the client's token, in hexadecimal; the token itself is never written.",
  ),
  role: choice(ROLES).optional().describe("What the client may do. Default: use."),
}).transform((given): Omit<Client, "id"> => ({ tokenSha256: given.token_sha256, role: given.role ?? "use" }));

const webhook = mapping({
  url: secretRef().describe("Where the address is read from: whoever knows it can post."),
  format: choice(["slack", "teams", "json"])
    .optional()
    .describe("How the message is written. Default: json."),
  events: list(choice(ALERT_EVENTS)).optional().describe("What is sent. Default: everything."),
}).transform(
  (given): Webhook => ({
    url: given.url,
    format: given.format ?? "json",
    events: given.events ?? ALERT_EVENTS,
  }),
);

const rules = mapping({
  max_usd_per_image: usd().optional().describe("Alert when an image costs more than this on average."),
  min_success_percent: count(0, 100).optional().describe("Alert when fewer requests than this succeed."),
  projected_month_usd: usd().optional().describe("Alert when the month is forecast to cost more than this."),
});

export const alerts = mapping({
  webhooks: list(webhook).optional().describe("Who is told."),
  rules: rules.optional().describe("What is watched besides the budgets."),
}).transform(
  (given): Alerts => ({
    webhooks: given.webhooks ?? [],
    rules: {
      maxPerImage: given.rules?.max_usd_per_image,
      minSuccessPercent: given.rules?.min_success_percent,
      projectedMonth: given.rules?.projected_month_usd,
    },
  }),
);

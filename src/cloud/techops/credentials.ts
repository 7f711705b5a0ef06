// From the labels that TechOps' windows and handlers give credentials to typed ones. Values are never shown:
// what is wrong with one is told by the label's name.

import { OWNERS, type Owner } from "./config-file.ts";
import { isMapping } from "./oddities.ts";

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly region?: string;
}

export interface AzureCredentials {
  readonly subscription: string;
  readonly tenant: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly resourceGroup?: string;
  readonly region?: string;
}

export interface GcpCredentials {
  readonly project: string;
  /** Of a service account; on whatever machine TechOps ran. */
  readonly keyFile: string;
  readonly region?: string;
  readonly zone?: string;
}

export interface NvidiaCredentials {
  readonly apiKey: string;
}

export interface CredentialsOf {
  readonly aws: AwsCredentials;
  readonly azure: AzureCredentials;
  readonly gcp: GcpCredentials;
  readonly nvidia: NvidiaCredentials;
}

interface Field {
  readonly name: string;
  /** As people know it: for a sentence. */
  readonly label: string;
  /** Other spellings, without case, blanks and marks. */
  readonly aliases: readonly string[];
  readonly optional?: true;
  /** Of a sound value. */
  readonly pattern?: RegExp;
}

const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const region: Field = {
  ...{ name: "region", label: "Region", optional: true },
  aliases: ["location", "defaultregion", "awsregion", "awsdefaultregion", "gcpregion", "azureregion"],
};

export const FIELDS: Readonly<Record<Owner, readonly Field[]>> = {
  aws: [
    {
      ...{ name: "accessKeyId", label: "Access Key ID", pattern: /^[A-Z0-9]{16,128}$/ },
      aliases: ["awsaccesskeyid", "accesskey", "awsaccesskey", "keyid"],
    },
    {
      ...{ name: "secretAccessKey", label: "Secret Access Key", pattern: /^[\w+/=]{30,}$/ },
      aliases: ["awssecretaccesskey", "secretkey", "awssecretkey", "secret"],
    },
    { name: "sessionToken", label: "Session Token", optional: true, aliases: ["awssessiontoken"] },
    region,
  ],
  azure: [
    {
      ...{ name: "subscription", label: "Subscription ID", pattern: GUID },
      aliases: ["subscriptionid", "azuresubscriptionid"],
    },
    {
      ...{ name: "tenant", label: "Tenant ID" },
      aliases: ["tenantid", "azuretenantid", "directoryid", "directorytenantid"],
    },
    {
      ...{ name: "clientId", label: "Client ID (Application ID)", pattern: GUID },
      aliases: ["clientidapplicationid", "applicationid", "applicationclientid", "appid", "azureclientid"],
    },
    {
      ...{ name: "clientSecret", label: "Client Secret" },
      aliases: ["azureclientsecret", "clientsecretvalue", "secret", "password"],
    },
    { name: "resourceGroup", label: "Resource Group", optional: true, aliases: ["resourcegroupname"] },
    region,
  ],
  gcp: [
    {
      ...{ name: "project", label: "Project ID", pattern: /^[a-z0-9.:-]{4,}$/ },
      aliases: ["projectid", "gcpprojectid", "gcpproject"],
    },
    {
      ...{ name: "keyFile", label: "Service Account JSON File Path" },
      aliases: [
        ...["serviceaccountjsonfilepath", "serviceaccountjsonpath", "serviceaccountjsonfile"],
        ...["serviceaccountjson", "serviceaccountpath", "serviceaccountfile", "credentialspath"],
        ...["credentialsfile", "googleapplicationcredentials"],
      ],
    },
    region,
    { name: "zone", label: "Zone", optional: true, aliases: ["gcpzone"] },
  ],
  nvidia: [
    {
      ...{ name: "apiKey", label: "NVIDIA API Key / NGC API Key", pattern: /^\S{20,}$/ },
      aliases: ["nvidiaapikeyngcapikey", "nvidiaapikey", "ngcapikey", "nvidiakey", "ngckey", "key"],
    },
  ],
};

/** Whatever TechOps' own check takes for a test's credentials, wherever it stands in a value. */
const DUMMY =
  /dummy|budgetguard-test|\/path\/to\/|^0{8}-0{4}-0{4}-0{4}-0{12}$|^(?:changeme|your[-_ ].*|<.*>)$/i;

export type Parsed<O extends Owner> =
  | { readonly kind: "missing" }
  | {
      readonly kind: "parsed";
      readonly values: CredentialsOf[O];
      readonly isDummy: boolean;
      /** Labels of values that no such credential looks like. */
      readonly doubtful: readonly string[];
    }
  /** Labels of what is not there. */
  | { readonly kind: "incomplete"; readonly lacking: readonly string[] };

const OWNER_NAMES: Readonly<Record<string, Owner>> = {
  amazon: "aws",
  google: "gcp",
  googlecloud: "gcp",
  nvidiahosted: "nvidia",
  ngc: "nvidia",
};

export function parseCredentials<O extends Owner>(all: unknown, owner: O): Parsed<O> {
  const given = sectionOf(all, owner);
  if (given === undefined) return { kind: "missing" };
  const texts = new Map<string, string>();
  for (const [key, value] of Object.entries(given)) {
    const text = typeof value === "string" ? value.trim() : "";
    // A second spelling of the same label does not count: the first one is what TechOps' windows write.
    if (text !== "" && !texts.has(plain(key))) texts.set(plain(key), text);
  }
  const found = new Map<string, string>();
  for (const { name, aliases } of FIELDS[owner]) {
    const spelling = [name.toLowerCase(), ...aliases].find((each) => texts.has(each));
    if (spelling !== undefined) found.set(name, texts.get(spelling) ?? "");
  }
  if (found.size === 0) return { kind: "missing" };
  const lacking = FIELDS[owner].filter(({ name, optional }) => !optional && !found.has(name));
  if (lacking.length > 0) return { kind: "incomplete", lacking: lacking.map(({ label }) => label) };
  const doubtful = FIELDS[owner].filter(
    ({ name, pattern }) => !(pattern?.test(found.get(name) ?? "") ?? true),
  );
  return {
    kind: "parsed",
    // Every field that is not optional is there.
    values: Object.fromEntries(found) as unknown as CredentialsOf[O],
    isDummy: [...found.values()].some((text) => DUMMY.test(text)),
    doubtful: doubtful.map(({ label }) => label),
  };
}

function sectionOf(all: unknown, owner: Owner): Readonly<Record<string, unknown>> | undefined {
  if (!isMapping(all)) return undefined;
  const found = Object.entries(all).find(([key]) => ownerOf(key) === owner)?.[1];
  // Of NVIDIA there is one value only, and some write it by itself.
  if (owner === "nvidia" && typeof found === "string") return { key: found };
  return isMapping(found) ? found : undefined;
}

function ownerOf(key: string): Owner | undefined {
  const name = plain(key);
  return OWNERS.find((each) => each === name) ?? OWNER_NAMES[name];
}

function plain(label: string): string {
  return label.toLowerCase().replace(/[^a-z0-9]/g, "");
}

// The real tool's files (techops/README.md), and files of other shapes made as the tool makes them.

import { createCipheriv, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DEFAULT_STUDIO_KEY } from "../../src/cloud/techops/fernet.ts";
import { parseRates } from "../../src/policy/schema/rates.ts";
import { CANARY } from "./canary.ts";

export function techopsPath(name: string): string {
  return fileURLToPath(new URL(`techops/${name}`, import.meta.url));
}

export function techopsJson(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(techopsPath(name), "utf8"));
}

export const BACKEND = "budgetguard_backend_config.json";

export const rates = parseRates(readFileSync(new URL("../../config/rates.yaml", import.meta.url), "utf8"));

/** As install_credentials.py does it: Fernet, and the token's text in base64 once more. */
export function encrypted(text: string, password = DEFAULT_STUDIO_KEY): string {
  const key = pbkdf2Sync(password, "budgetguard_comfyui_salt", 100_000, 32, "sha256");
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(1_795_000_000n);
  const vector = randomBytes(16);
  const cipher = createCipheriv("aes-128-cbc", key.subarray(16), vector);
  const signed = Buffer.concat([
    Buffer.from([0x80]),
    time,
    vector,
    cipher.update(text, "utf8"),
    cipher.final(),
  ]);
  const token = Buffer.concat([signed, createHmac("sha256", key.subarray(0, 16)).update(signed).digest()]);
  return Buffer.from(token.toString("base64url")).toString("base64url");
}

/** Complete and plausible credentials of all four, each of whose secrets has the canary in it. */
export function soundCredentials(keyFile: string) {
  return {
    nvidia: { "NVIDIA API Key / NGC API Key": `nvapi-${CANARY}-0123456789` },
    aws: { "Access Key ID": "AKIAIOSFODNN7EXAMPLE", "Secret Access Key": `wJalrXUtnFEMI/${CANARY}/bPxRfiCY` },
    azure: {
      "Subscription ID": "11111111-2222-3333-4444-555555555555",
      "Tenant ID": "studio.example",
      "Client ID (Application ID)": "21111111-2222-3333-4444-555555555555",
      "Client Secret": CANARY,
      "Resource Group": "nim",
      Region: "eastus",
    },
    gcp: { "Project ID": "studio-1", "Service Account JSON File Path": keyFile, Region: "us-central1" },
  };
}

/** What the tool would have installed. */
export function backendConfig(credentials: unknown, more: object = {}, password?: string): string {
  const sealed = encrypted(JSON.stringify(credentials), password);
  const stored = {
    encrypted: true,
    encryption_version: 1,
    encryption_method: "Fernet",
    encrypted_data: sealed,
  };
  return JSON.stringify({
    version: "1.0",
    mode: "studio-wide",
    nim_endpoints: {},
    credentials: stored,
    ...more,
  });
}

/** Records of TechOps' own endpoints.json, one of each cloud, as its deployers write them. */
export const DEPLOYMENTS = {
  aws: {
    node_type: "FLUX Dev",
    instance_name: "flux-dev-a10g-aws-1731000000",
    provider: "aws",
    region: "us-east-1",
    endpoint: "https://nim-flux-dev-a10g-aws-1731000000.us-east-1.aws.nim.api.nvidia.com",
    cluster: "budgetguard-nim-cluster",
    service: "flux-dev-a10g-aws-1731000000",
    gpu_tier: "a10g",
    gpu_instance_type: "g5.xlarge",
    status: "running",
  },
  azure: {
    node_type: "SDXL",
    instance_name: "sdxl-t4-azure-1731000001",
    provider: "azure",
    region: "eastus",
    endpoint: "http://20.1.2.3:8000",
    cluster: "budgetguard-nim-aks",
    resource_group: "budgetguard-nim-rg",
    gpu_tier: "t4",
    gpu_vm_size: "Standard_NC6s_v3",
  },
  gcp: {
    node_type: "SDXL",
    instance_name: "sdxl-t4-gcp-1731000002",
    provider: "gcp",
    region: "us-central1",
    zone: "us-central1-a",
    project_id: "studio-1",
    endpoint: "http://34.1.2.3:8000",
    cluster: "budgetguard-nim-gke",
    gpu_tier: "t4",
    gpu_machine_type: "n1-standard-4",
    gpu_type: "nvidia-tesla-t4",
  },
};

// Addresses that TechOps' tools write where they have none: names that lead nowhere, or that were made to try
// the tools out. What answers at an address is not asked.

interface Placeholder {
  readonly host: RegExp;
  readonly why: string;
}

const PLACEHOLDERS: readonly Placeholder[] = [
  { host: /-12345\./, why: "an address of TechOps' test data" },
  { host: /\.aws\.nim\.api\.nvidia\.com$/, why: "what TechOps write before the container has an address" },
  { host: /\.cloudapp\.gcp\.com$/, why: "a guess of TechOps': Google has no such names" },
  {
    host: /\.cloudapp\.azure\.com$/,
    why: "a guess of TechOps' unless the service was given this DNS label",
  },
  { host: /\.ngc\.nvidia\.com$/, why: "no inference API of NVIDIA's: that is at ai.api.nvidia.com" },
];

/** Why it is taken for a placeholder; undefined for an address that may be real. */
export function whyPlaceholder(url: string): string | undefined {
  const host = URL.parse(url)?.hostname ?? "";
  return PLACEHOLDERS.find((each) => each.host.test(host))?.why;
}

// The policy of the demo, as the YAML that a studio would write.

export interface DemoPolicy {
  readonly mode: "local" | "lowest_price";
  /** USD a day. */
  readonly limit: string;
  readonly local: string;
  readonly aws: string;
}

export function demoPolicy({ mode, limit, local, aws }: DemoPolicy): string {
  return `version: 1
mode: ${mode}

upstreams:
  flux-local: { provider: local, url: "${local}" }
  flux-aws:
    provider: aws
    url: "${aws}"
    gpu_tier: a10g
    price: { rate: aws/us-east-1/g5.xlarge }

models:
  flux-dev: { upstreams: [flux-local, flux-aws], estimate: 12s }

budgets:
  - { id: studio-day, limit_usd: ${limit}, period: daily, on_limit: block }
`;
}

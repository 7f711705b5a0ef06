// An access key of AWS: EC2 is asked whether it might list regions, without doing so. It answers that one
// might or might not, either of which only a known key is told, or that it does not know the key.

import { DescribeRegionsCommand } from "@aws-sdk/client-ec2";
import { Trouble } from "../adapter.ts";
import { AwsRegion } from "../aws/aws-region.ts";
import type { AwsCredentials } from "../techops/credentials.ts";

const REGION = "us-east-1";

/** Throws Trouble where AWS does not take it, or does not answer. */
export async function probeAws(
  { accessKeyId, secretAccessKey, sessionToken, region }: AwsCredentials,
  endpoint: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const credentials = { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
  const asked = new AwsRegion(region ?? REGION, { credentials, ...(endpoint !== undefined && { endpoint }) });
  try {
    const command = new DescribeRegionsCommand({ DryRun: true });
    await asked.ask("ec2:DescribeRegions", signal, () => asked.ec2.send(command, { abortSignal: signal }));
  } catch (error) {
    // "DryRunOperation": it would have been done.
    const cause = error instanceof Trouble ? error.cause : undefined;
    const name = cause instanceof Error ? cause.name : "";
    if (!/^(DryRunOperation|UnauthorizedOperation)$/.test(name)) throw error;
  } finally {
    asked.close();
  }
}

// The parts of Kubernetes' objects that the gateway reads, parsed at the door: what has another shape is
// Trouble, so that nothing is concluded from half an answer.

import { z } from "zod";
import { Trouble } from "../adapter.ts";

const labels = z.record(z.string(), z.string());

const metadata = z.object({
  name: z.string(),
  uid: z.string(),
  creationTimestamp: z.string(),
  deletionTimestamp: z.string().optional(),
  labels: labels.default({}),
});

const condition = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
});

export const Deployment = z.object({
  metadata: metadata.extend({ generation: z.number().optional() }),
  spec: z.object({
    // The API's own default.
    replicas: z.number().int().min(0).default(1),
    selector: z.object({
      matchLabels: labels.default({}),
      matchExpressions: z
        .array(z.object({ key: z.string(), operator: z.string(), values: z.array(z.string()).default([]) }))
        .default([]),
    }),
    template: z.object({ metadata: z.object({ labels: labels.default({}) }).default({ labels: {} }) }),
  }),
  status: z.object({ conditions: z.array(condition).default([]) }).default({ conditions: [] }),
});
export type Deployment = z.infer<typeof Deployment>;

const waiting = z.object({ reason: z.string().optional(), message: z.string().optional() });

export const Pod = z.object({
  metadata,
  status: z
    .object({
      phase: z.string().optional(),
      reason: z.string().optional(),
      conditions: z.array(condition).default([]),
      containerStatuses: z
        .array(
          z.object({
            name: z.string(),
            state: z
              .object({
                running: z.object({ startedAt: z.string().optional() }).optional(),
                waiting: waiting.optional(),
              })
              .default({}),
          }),
        )
        .default([]),
    })
    .default({ conditions: [], containerStatuses: [] }),
});
export type Pod = z.infer<typeof Pod>;

export const Service = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    type: z.string().optional(),
    selector: labels.optional(),
    ports: z
      .array(
        z.object({
          port: z.number(),
          targetPort: z.union([z.number(), z.string()]).optional(),
          appProtocol: z.string().optional(),
          name: z.string().optional(),
        }),
      )
      .default([]),
  }),
  status: z
    .object({
      loadBalancer: z
        .object({
          ingress: z
            .array(z.object({ ip: z.string().optional(), hostname: z.string().optional() }))
            .default([]),
        })
        .default({ ingress: [] }),
    })
    .default({ loadBalancer: { ingress: [] } }),
});
export type Service = z.infer<typeof Service>;

export const Node = z.object({
  metadata,
  spec: z.object({ providerID: z.string().optional() }).default({}),
  status: z.object({ conditions: z.array(condition).default([]) }).default({ conditions: [] }),
});
export type Node = z.infer<typeof Node>;

export const Scale = z.object({ spec: z.object({ replicas: z.number().int().min(0).default(0) }) });

/** `what`: as it stands in a sentence. */
export function read<T>(schema: z.ZodType<T>, body: unknown, what: string): T {
  const read = schema.safeParse(body);
  if (read.success) return read.data;
  const where = read.error.issues[0]?.path.join(".") ?? "";
  throw new Trouble(
    "failed",
    `the cluster's answer about ${what} cannot be read (${where}): is it Kubernetes?`,
  );
}

export function listOf<T>(item: z.ZodType<T>): z.ZodType<{ items: T[] }> {
  return z.object({ items: z.array(item) });
}
